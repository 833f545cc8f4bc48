"""PyQGIS: progress, cancel, bad input, layers in memory, styles, models, batch, two runs at once.

inside.py PAIR FOLDER: PAIR has pre.tif, post.tif and map.tif, the command line's result for them."""

import faulthandler
import os
import shutil
import sys
import time


from start import Feedback, application, plugin, processing, refused, registry

from osgeo import gdal
from qgis.core import (
    QgsFeature,
    QgsGeometry,
    QgsProcessingAlgRunnerTask,
    QgsProcessingContext,
    QgsProcessingModelAlgorithm,
    QgsProcessingModelChildAlgorithm,
    QgsProcessingModelChildParameterSource,
    QgsProcessingModelOutput,
    QgsProcessingModelParameter,
    QgsProcessingParameterRasterLayer,
    QgsProject,
    QgsRasterLayer,
    QgsVectorLayer,
)

faulthandler.enable()
pair, folder = sys.argv[1:3]
pre, post, truth = (os.path.join(pair, f"{n}.tif") for n in ("pre", "post", "truth"))
LSM = "shiftmap:displacement_lsm"


def out(name):
    return os.path.join(folder, name)


def read(path):
    with open(path, "rb") as file:
        return file.read()


def done(name):
    print(f"ok {name}", flush=True)


def parameters_are_described():
    for algorithm in plugin.provider.algorithms():
        assert algorithm.shortHelpString() and not algorithm.icon().isNull(), algorithm.id()
        for definition in algorithm.parameterDefinitions():
            assert definition.description(), (algorithm.id(), definition.name())
        same = algorithm.create()
        assert same.id() == algorithm.id() and len(same.parameterDefinitions()) == len(algorithm.parameterDefinitions())
    lsm = registry.algorithmById(LSM)
    visible = [d.name() for d in lsm.parameterDefinitions() if not d.flags() & d.FlagAdvanced and not d.isDestination()]
    wanted = ["REFERENCE", "REFERENCE_BAND", "SECONDARY", "SECONDARY_BAND", "WINDOW", "STEP", "SEARCH", "MASK", "CUT", "EXTENT"]
    assert visible == wanted, visible
    library = plugin.provider.library
    for choice in library.options("displacement")["METHOD"]["choices"]:
        assert registry.algorithmById(f"shiftmap:displacement_{choice['value']}")
    assert "pixels" in lsm.parameterDefinition("WINDOW").help()
    spatial = registry.algorithmById("shiftmap:displacement_spatial")
    assert spatial.parameterDefinition("TAPER") is None and spatial.parameterDefinition("PEAK_SIGMA") is not None
    assert lsm.parameterDefinition("PEAK_SIGMA") is None
    assert lsm.parameterDefinition("COMPLEX") is None and spatial.parameterDefinition("COMPLEX") is not None
    frequency = registry.algorithmById("shiftmap:displacement_frequency")
    several = lambda algorithm: algorithm.parameterDefinition("REFERENCE_BAND").allowMultiple()
    assert several(lsm) and several(spatial) and not several(frequency)
    assert "(method" not in lsm.parameterDefinition("REFERENCE_BAND").help()
    assert lsm.parameterDefinition("STACK_PAIR") is not None and frequency.parameterDefinition("STACK_PAIR") is None


def progress_and_numbers():
    feedback = Feedback()
    made = {"REFERENCE": pre, "SECONDARY": post, "OUTPUT": out("map.tif"), "MAGNITUDE": out("length.tif")}
    results = processing.run(LSM, made, feedback=feedback)
    assert read(out("map.tif")) == read(os.path.join(pair, "map.tif"))
    assert len(feedback.fractions) >= 3 and feedback.fractions == sorted(feedback.fractions), feedback.fractions
    assert feedback.fractions[-1] == 100
    assert any(t.startswith("shiftmap displacement") for t in feedback.said), feedback.said
    assert results["VALID_SHARE"] > 90 and results["EAST_NMAD"] > 0, results
    east, north = gdal.Open(out("map.tif")).ReadAsArray()[:2]
    length = gdal.Open(out("length.tif")).ReadAsArray()
    import numpy as np

    np.testing.assert_allclose(length, np.hypot(east, north), rtol=1e-6)
    assert abs(results["EAST_MEDIAN"] - np.nanmedian(east)) < 1e-6


def cancel():
    feedback = Feedback()
    started = []

    def stop(_):
        if not started:
            started.append(time.monotonic())
            feedback.cancel()

    feedback.progressChanged.connect(stop)
    algorithm = registry.createAlgorithmById(LSM)
    context = QgsProcessingContext()
    os.makedirs(out("stopped"))
    made = {"REFERENCE": pre, "SECONDARY": post, "STEP": "1", "OUTPUT": out("stopped/map.tif")}
    _, fine = algorithm.run(made, context, feedback)
    assert not fine and started and time.monotonic() - started[0] < 1.0, time.monotonic() - started[0]
    assert os.listdir(out("stopped")) == [], os.listdir(out("stopped"))
    assert any("nothing was written" in t for t in feedback.said), feedback.said


def bad_input():
    other = out("other_crs.tif")
    gdal.Warp(other, post, dstSRS="EPSG:32633")
    message = refused("displacement_lsm", {"REFERENCE": pre, "SECONDARY": other, "OUTPUT": out("bad.tif")})
    assert "RESAMPLE" in message and "Warp the second image" in message, message
    message = refused("displacement_lsm", {"REFERENCE": pre, "SECONDARY": post, "SECONDARY_BAND": [7], "OUTPUT": out("bad.tif")})
    assert "POST_BAND=7" in message and "choose 1 to 1" in message, message
    message = refused("displacement_lsm", {"REFERENCE": pre, "SECONDARY": post, "WINDOW": "3", "OUTPUT": out("bad.tif")})
    assert "WINDOW (Window (pixels))" in message, message
    message = refused("displacement_lsm", {"REFERENCE": pre, "SECONDARY": post, "SEARCH": "far", "OUTPUT": out("bad.tif")})
    assert "neither pixels" in message, message
    message = refused("displacement_lsm", {"REFERENCE": pre, "SECONDARY": post, "EXTENT": "0,1,0,1", "OUTPUT": out("bad.tif")})
    assert "lies outside of the image" in message, message
    image = QgsRasterLayer(pre, "pre")
    x, y = image.extent().center().x(), image.extent().center().y()
    message = refused("displacement_lsm", {"REFERENCE": pre, "SECONDARY": post, "EXTENT": f"{x},{x},{y},{y}", "OUTPUT": out("bad.tif")})
    assert "extent is empty" in message.lower(), message
    away = out("away.tif")
    made = gdal.Translate(away, post)
    moved = list(made.GetGeoTransform())
    moved[0] += 1e5
    made.SetGeoTransform(moved)
    made = None
    message = refused("displacement_lsm", {"REFERENCE": pre, "SECONDARY": away, "OUTPUT": out("bad.tif")})
    assert "overlap" in message, message
    message = refused("vectors", {"INPUT": pre, "OUTPUT": "memory:"})
    assert "two bands" in message, message
    assert not os.path.exists(out("bad.tif"))


def extent_is_a_part_of_the_whole():
    image = QgsRasterLayer(pre, "pre")
    box, size = image.extent(), image.rasterUnitsPerPixelX()
    edges = [box.xMinimum() + 64 * size, box.xMinimum() + 192 * size, box.yMaximum() - 160 * size, box.yMaximum() - 32 * size]
    extent = ",".join(map(str, edges)) + f" [{image.crs().authid()}]"
    processing.run(LSM, {"REFERENCE": pre, "SECONDARY": post, "EXTENT": extent, "OUTPUT": out("part.tif")})
    part, whole = gdal.Open(out("part.tif")), gdal.Open(out("map.tif"))
    assert (part.RasterXSize, part.RasterYSize) == (16, 16)
    assert (part.ReadAsArray() == whole.ReadAsArray(8, 4, 16, 16)).mean() > 0.5


def a_trace_with_unsaved_edits():
    layer = QgsVectorLayer(f"LineString?crs={QgsRasterLayer(pre, 'pre').crs().authid()}", "drawn", "memory")
    layer.startEditing()
    box = QgsRasterLayer(pre, "pre").extent()
    feature = QgsFeature(layer.fields())
    text = f"LINESTRING({box.center().x()} {box.yMinimum()}, {box.center().x()} {box.yMaximum()})"
    feature.setGeometry(QgsGeometry.fromWkt(text))
    layer.addFeature(feature)
    QgsProject.instance().addMapLayer(layer)
    feedback = Feedback()
    made = {"REFERENCE": pre, "SECONDARY": post, "CUT": layer, "OUTPUT": out("cut.tif")}
    processing.run(LSM, made, feedback=feedback)
    assert read(out("cut.tif")) != read(out("map.tif"))
    assert any("drawn was written to" in t for t in feedback.said), feedback.said
    layer.rollBack()
    web = QgsRasterLayer("type=xyz&url=http://127.0.0.1:1/%7Bz%7D/%7Bx%7D/%7By%7D.png", "tiles", "wms")
    QgsProject.instance().addMapLayer(web)
    message = refused("displacement_lsm", {"REFERENCE": web, "SECONDARY": post, "OUTPUT": out("bad.tif")})
    assert "wms" in message or "not from a file" in message, message
    QgsProject.instance().clear()


def polygons_mask_what_they_cover():
    image = QgsRasterLayer(pre, "pre")
    layer = QgsVectorLayer(f"Polygon?crs={image.crs().authid()}", "clouds", "memory")
    box = image.extent()
    x, low, high = [box.xMinimum(), box.center().x()], box.yMinimum(), box.yMaximum()
    ring = ", ".join(f"{a} {b}" for a, b in ((x[0], low), (x[1], low), (x[1], high), (x[0], high), (x[0], low)))
    feature = QgsFeature(layer.fields())
    feature.setGeometry(QgsGeometry.fromWkt(f"POLYGON(({ring}))"))
    layer.dataProvider().addFeature(feature)
    QgsProject.instance().addMapLayer(layer)
    processing.run(LSM, {"REFERENCE": pre, "SECONDARY": post, "MASK": layer, "OUTPUT": out("masked.tif")})
    data = gdal.Open(out("masked.tif"))
    status = data.GetRasterBand(6).ReadAsArray()
    half = status.shape[1] // 2
    assert (status[:, :half - 4] != 0).all() and (status[:, half + 4:] == 0).mean() > 0.8, status
    QgsProject.instance().clear()


def loaded(algorithm, made):
    """Runs and loads the results as the desktop does; the layers by name."""
    from processing.gui.Postprocessing import handleAlgorithmResults

    context, feedback = QgsProcessingContext(), Feedback()
    context.setProject(QgsProject.instance())
    made_algorithm = registry.createAlgorithmById(f"shiftmap:{algorithm}")
    for name in [n for n, v in made.items() if made_algorithm.parameterDefinition(n).isDestination()]:
        from qgis.core import QgsProcessingOutputLayerDefinition

        definition = QgsProcessingOutputLayerDefinition(made[name], QgsProject.instance())
        definition.destinationName = name
        made[name] = definition
    results, fine = made_algorithm.run(made, context, feedback)
    assert fine, feedback.said
    handleAlgorithmResults(made_algorithm, context, feedback, True)
    return {layer.name(): layer for layer in QgsProject.instance().mapLayers().values()}


def styles():
    QgsProject.instance().clear()
    layers = loaded("displacement_lsm", {"REFERENCE": pre, "SECONDARY": post, "OUTPUT": out("styled.tif"), "MAGNITUDE": out("styled_length.tif")})
    wanted = {"East displacement (m)", "North displacement (m)", "Sigma, east (m)", "Displacement (m)"}
    assert set(layers) == wanted, layers
    east, north = (layers[f"{n} displacement (m)"].renderer() for n in ("East", "North"))
    assert (east.band(), north.band()) == (1, 2)
    assert east.classificationMin() == -east.classificationMax() == north.classificationMin() < 0
    items = east.shader().rasterShaderFunction().colorRampItemList()
    assert len(items) == 11 and items[5].value == 0 and items[5].color.saturation() < 12, [(i.value, i.color.name()) for i in items]
    for name, layer in layers.items():
        assert layer.renderer().type() == "singlebandpseudocolor", name
        assert layer.dataProvider().sourceHasNoDataValue(1), name
    assert layers["Displacement (m)"].renderer().classificationMin() == 0
    visible = [n for n, l in layers.items() if QgsProject.instance().layerTreeRoot().findLayer(l.id()).isVisible()]
    assert set(visible) == {"East displacement (m)", "Displacement (m)"}, visible
    QgsProject.instance().clear()
    arrows = loaded("vectors", {"INPUT": out("styled.tif"), "OUTPUT": out("arrows.gpkg")})["Displacement arrows (m)"]
    assert arrows.renderer().type() == "graduatedSymbol" and arrows.featureCount() > 100
    ranges = arrows.renderer().ranges()
    symbol = ranges[0].symbol().symbolLayer(0)
    assert symbol.layerType() == "VectorField" and symbol.xAttribute() == "east", symbol.layerType()
    assert ranges[1].label().endswith(" m")
    first = next(arrows.getFeatures())
    assert abs(first["length"] ** 2 - first["east"] ** 2 - first["north"] ** 2) < 1e-9
    QgsProject.instance().clear()
    from shiftmap import styles as module

    assert module._waiting == {}


def model():
    made = QgsProcessingModelAlgorithm("arrows of a pair", "test")
    for name in ("before", "after"):
        made.addModelParameter(QgsProcessingParameterRasterLayer(name, name), QgsProcessingModelParameter(name))
    source = QgsProcessingModelChildParameterSource
    match = QgsProcessingModelChildAlgorithm(LSM)
    match.setChildId("match")
    match.addParameterSources("REFERENCE", [source.fromModelParameter("before")])
    match.addParameterSources("SECONDARY", [source.fromModelParameter("after")])
    match.addParameterSources("STEP", [source.fromStaticValue("16")])
    made.addChildAlgorithm(match)
    arrows = QgsProcessingModelChildAlgorithm("shiftmap:vectors")
    arrows.setChildId("arrows")
    arrows.addParameterSources("INPUT", [source.fromChildOutput("match", "OUTPUT")])
    # A number of the first step decides in the second.
    arrows.addParameterSources("LEAST", [source.fromExpression("min(@match_VALID_SHARE, 0)")])
    result = QgsProcessingModelOutput("arrows", "arrows")
    result.setChildId("arrows")
    result.setChildOutputName("OUTPUT")
    arrows.setModelOutputs({"arrows": result})
    made.addChildAlgorithm(arrows)
    for child in (match, arrows):
        # As the designer does for what is left alone.
        for definition in child.algorithm().parameterDefinitions():
            if definition.name() not in child.parameterSources() and definition.defaultValue() is not None:
                child.addParameterSources(definition.name(), [source.fromStaticValue(definition.defaultValue())])
        made.setChildAlgorithm(child)
    made.updateDestinationParameters()
    fine, errors = made.validate()
    assert fine, errors
    name = next(d.name() for d in made.parameterDefinitions() if d.isDestination())
    results, fine = made.run({"before": pre, "after": post, name: "memory:"}, QgsProcessingContext(), Feedback())
    assert fine and results[name], results


def batch():
    for row, window in enumerate(("16", "24", "48")):
        results = processing.run(LSM, {"REFERENCE": pre, "SECONDARY": post, "WINDOW": window, "STEP": "16", "OUTPUT": out(f"batch{row}.tif")})
        assert results["VALID_SHARE"] > 80, results
    assert len({read(out(f"batch{row}.tif")) for row in range(3)}) == 3


def two_tasks_at_once():
    context = [QgsProcessingContext(), QgsProcessingContext()]
    feedback = [Feedback(), Feedback()]
    finished = {}
    tasks = []
    for i in range(2):
        made = {"REFERENCE": pre, "SECONDARY": post, "THREADS": 1, "OUTPUT": out(f"task{i}.tif")}
        algorithm = registry.createAlgorithmById(LSM)
        task = QgsProcessingAlgRunnerTask(algorithm, made, context[i], feedback[i])

        def keep(fine, results, i=i):
            finished[i] = fine

        task.executed.connect(keep)
        tasks.append((algorithm, task, keep))
    for _, task, _ in tasks:
        application.taskManager().addTask(task)
    end = time.monotonic() + 60
    while len(finished) < 2 and time.monotonic() < end:
        application.processEvents()
        time.sleep(0.01)
    assert finished == {0: True, 1: True}, (finished, feedback[0].said, feedback[1].said)
    assert read(out("task0.tif")) == read(out("task1.tif")) == read(os.path.join(pair, "map.tif"))


def a_virtual_job_opens():
    path = out("job.shiftmap")
    with open(path, "w") as file:
        file.write(f"shiftmap 1\npre={pre}\npost={post}\n")
    layer = QgsRasterLayer(path, "job")
    assert layer.isValid() and layer.bandCount() == 6
    results = processing.run("native:rasterlayerstatistics", {"INPUT": path, "BAND": 1})
    assert results["MAX"] > results["MIN"], results


def a_network():
    """From a file; where ONNX Runtime is not there, the refusal says how to get it."""
    model = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../models/matcher.onnx")
    made = {"REFERENCE": pre, "SECONDARY": post, "MODEL_FILE": model, "STEP": "8", "WINDOW": "32", "OUTPUT": out("net.tif")}
    net = registry.algorithmById("shiftmap:displacement_net")
    assert net.parameterDefinition("NET_PASSES") is not None and net.parameterDefinition("TAPER") is None
    assert registry.algorithmById(LSM).parameterDefinition("NET_PASSES") is None
    if plugin.provider.library.run("info", [], plugin.provider.library.onnxruntime(), None, None)["onnxruntime"]["library"]:
        feedback = Feedback()
        results = processing.run("shiftmap:displacement_net", made, feedback=feedback)
        assert results["VALID_SHARE"] > 50, results
        assert any("--method=net" in t and "matcher.onnx" in t for t in feedback.said), feedback.said
    else:
        print("skipped: ONNX Runtime is not there")
        assert "pip install" in refused("displacement_net", made)
    shutil.copy(pre, out("bad.onnx"))
    message = refused("displacement_net", dict(made, MODEL_FILE=out("bad.onnx"), OUTPUT=out("bad.tif")))
    assert "not an ONNX model" in message, message


for check in (
    parameters_are_described, progress_and_numbers, cancel, bad_input, extent_is_a_part_of_the_whole,
    a_trace_with_unsaved_edits, polygons_mask_what_they_cover, styles, model, batch, two_tasks_at_once, a_network, a_virtual_job_opens,
):  # fmt: skip
    check()
    done(check.__name__)
sys.stdout.flush()
os._exit(0)
