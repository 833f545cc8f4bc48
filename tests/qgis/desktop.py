"""Runs inside of the QGIS desktop: opens the toolbox, runs an algorithm by its dialog and saves pictures.

Environment: PAIR (folder with pre.tif, post.tif), PICTURES (folder for the results). Writes PICTURES/done.txt with `ok`
or what went wrong."""

import os
import traceback

import qgis.utils
from qgis.core import QgsProcessingOutputLayerDefinition, QgsProject, QgsRasterLayer, QgsVectorLayer
from qgis.PyQt.QtCore import QEventLoop, Qt, QTimer
from qgis.PyQt.QtWidgets import QDockWidget, QTreeView
from qgis.utils import iface

pair, pictures = os.environ["PAIR"], os.environ["PICTURES"]


def wait(seconds, until=lambda: False):
    loop, timer = QEventLoop(), QTimer()
    ends = QTimer()
    ends.setSingleShot(True)
    ends.timeout.connect(loop.quit)
    timer.timeout.connect(lambda: until() and loop.quit())
    ends.start(int(1000 * seconds))
    timer.start(50)
    loop.exec_() if hasattr(loop, "exec_") else loop.exec()
    timer.stop()


def drawn():
    """Waits until the map is complete."""
    canvas = iface.mapCanvas()
    ready = []
    canvas.mapCanvasRefreshed.connect(lambda: ready.append(True))
    canvas.redrawAllLayers() if hasattr(canvas, "redrawAllLayers") else canvas.refreshAllLayers()
    wait(20, lambda: bool(ready) and not canvas.isDrawing())


def save(widget, name):
    iface.messageBar().clearWidgets()
    wait(0.3)
    picture = widget.grab()
    path = os.path.join(pictures, name)
    assert picture.save(path), path


def start():
    qgis.utils.updateAvailablePlugins()
    for name in ("processing", "shiftmap"):
        if name not in qgis.utils.active_plugins:
            assert qgis.utils.loadPlugin(name) and qgis.utils.startPlugin(name), name


def only(docks):
    for dock in iface.mainWindow().findChildren(QDockWidget):
        if not dock.isFloating():
            dock.setVisible(dock.objectName() in docks)


def toolbox():
    dock = iface.mainWindow().findChild(QDockWidget, "ProcessingToolbox")
    tree = next(t for t in dock.findChildren(QTreeView) if t.model() is not None and t.model().rowCount() > 3)
    model = tree.model()
    for row in range(model.rowCount()):
        index = model.index(row, 0)
        tree.setExpanded(index, model.data(index) == "shiftmap")
        if model.data(index) == "shiftmap":
            tree.scrollTo(index, QTreeView.PositionAtTop if hasattr(QTreeView, "PositionAtTop") else QTreeView.ScrollHint.PositionAtTop)
            assert model.rowCount(index) >= 8, model.rowCount(index)
    return dock


def dialog():
    """Runs displacement_lsm as a click on Run does; the result is loaded and styled."""
    import processing

    made = processing.createAlgorithmDialog(
        "shiftmap:displacement_lsm",
        {"REFERENCE": layers["pre"].id(), "SECONDARY": layers["post"].id(), "STEP": "4"},
    )
    made.resize(1000, 720)
    made.show()
    wait(1.5)
    save(made, "dialog.png")
    ran = []
    made.algorithmFinished.connect(lambda fine, _: ran.append(fine))
    made.runAlgorithm() if hasattr(made, "runAlgorithm") else made.runButton().click()
    wait(60, lambda: bool(ran))
    assert ran == [True], ran
    wait(2)
    save(made, "log.png")
    made.close()
    return by_name("East displacement").source()


layers = {}


def by_name(text):
    return next(l for l in QgsProject.instance().mapLayers().values() if text in l.name())


def visible(*wanted):
    root = QgsProject.instance().layerTreeRoot()
    for node in root.findLayers():
        node.setItemVisibilityChecked(node.layer() in wanted)
        node.setExpanded(node.layer() in wanted and node.layer() not in layers.values())


def report(path):
    """The page of a fault profile beside the map."""
    from qgis.PyQt.QtWidgets import QScrollArea, QVBoxLayout, QWidget
    from qgis.PyQt.QtSvg import QSvgWidget

    page, area = QWidget(), QScrollArea()
    rows = QVBoxLayout(page)
    for name in ("stack.svg", "slip.svg"):
        picture = QSvgWidget(os.path.join(os.path.dirname(path), name))
        picture.setFixedSize(picture.sizeHint() * (560 / picture.sizeHint().width()))
        rows.addWidget(picture)
    area.setWidget(page)
    dock = QDockWidget("Fault profile", iface.mainWindow())
    dock.setWidget(area)
    dock.setMinimumWidth(600)
    iface.addDockWidget(Qt.RightDockWidgetArea if hasattr(Qt, "RightDockWidgetArea") else Qt.DockWidgetArea.RightDockWidgetArea, dock)
    iface.mapCanvas().setExtent(layers["pre"].extent())
    wait(2)
    drawn()


def on_image(layer):
    """A displacement over the image: the image's relief stays visible."""
    from qgis.PyQt.QtGui import QPainter

    multiply = getattr(QPainter, "CompositionMode_Multiply", None) or QPainter.CompositionMode.CompositionMode_Multiply
    layer.setBlendMode(multiply)


def run():
    window = iface.mainWindow()
    window.resize(1200, 760)
    start()
    wait(1)
    only(["Layers", "ProcessingToolbox"])
    project = QgsProject.instance()
    for name in ("pre", "post"):
        layers[name] = QgsRasterLayer(os.path.join(pair, f"{name}.tif"), {"pre": "Before", "post": "After"}[name])
        assert layers[name].isValid()
    project.setCrs(layers["pre"].crs())
    layers["pre"].brightnessFilter().setBrightness(70)
    for name in ("post", "pre"):
        project.addMapLayer(layers[name])
    canvas = iface.mapCanvas()
    canvas.setExtent(layers["pre"].extent())
    dock = toolbox()
    wait(1)
    drawn()
    save(window, "toolbox.png")
    output = dialog()
    dock.hide()
    east = by_name("East displacement")
    on_image(east)
    trace = os.path.join(pair, "trace.gpkg")
    fault = QgsVectorLayer(trace, "Fault", "ogr")
    if fault.isValid():
        project.addMapLayer(fault)
        fault.renderer().symbol().setColor(Qt.black if hasattr(Qt, "black") else Qt.GlobalColor.black)
        fault.renderer().symbol().setWidth(0.5)
    visible(layers["pre"], east, *([fault] if fault.isValid() else []))
    canvas.setExtent(layers["pre"].extent())
    wait(1)
    drawn()
    save(window, "east.png")
    import processing

    arrows = QgsProcessingOutputLayerDefinition(os.path.join(pictures, "arrows.gpkg"), project)
    processing.runAndLoadResults("shiftmap:vectors", {"INPUT": output, "OUTPUT": arrows})
    arrows = by_name("arrows")
    visible(layers["pre"], arrows, *([fault] if fault.isValid() else []))
    wait(1)
    drawn()
    save(window, "arrows.png")
    profiled = processing.run("shiftmap:profile", {"INPUT": output, "TRACE": trace, "OUTPUT": os.path.join(pictures, "profile")})
    offsets = QgsVectorLayer(profiled["OFFSETS"], "Offsets", "ogr")
    swaths = QgsVectorLayer(profiled["OFFSETS"].replace("layername=offsets", "layername=swaths"), "Swaths", "ogr")
    assert offsets.isValid() and offsets.featureCount() > 3 and swaths.isValid(), profiled
    for layer in (swaths, offsets):
        project.addMapLayer(layer)
    visible(layers["pre"], east, swaths, offsets)
    wait(1)
    drawn()
    report(profiled["REPORT"])
    save(window, "profile.png")


def main():
    try:
        run()
        said = "ok"
    except BaseException:
        said = traceback.format_exc()
        save(iface.mainWindow(), "failed.png")
    with open(os.path.join(pictures, "done.txt"), "w") as file:
        file.write(said)
    os._exit(0)


QTimer.singleShot(3000, main)
