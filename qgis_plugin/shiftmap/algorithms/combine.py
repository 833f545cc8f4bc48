"""East, north and up from interferograms, offset maps and GNSS stations."""

from qgis.core import (
    QgsProcessing,
    QgsProcessingException,
    QgsProcessingParameterEnum,
    QgsProcessingParameterFile,
    QgsProcessingParameterMultipleLayers,
    QgsProcessingParameterNumber,
    QgsProcessingParameterRasterLayer,
    QgsProcessingParameterString,
)

from .. import inputs, qt, styles
from ..texts import tr
from .reported import Reported

TRACKS = (1, 2)


class Combine(Reported):
    command = "combine"
    title = "East, north and up from InSAR, offsets and GNSS"
    visible = ["EVENT", "DEM", "MASK"]
    hidden = ["LOS", "AZIMUTH_OFFSET", "RANGE_OFFSET", "OFFSETS", "GNSS", "REPORT"]
    labels = {
        "EVENT": "Date of the event, for GNSS series (or the number of the day)",
        "DEM": "Elevation model",
        "LIKE": "Raster whose grid the result has",
        "CRS": "Coordinate system of the result, e.g. EPSG:32611",
        "RESOLUTION": "Pixel size of the result (map units)",
        "MODEL": "Model for the method net",
    }
    output_label = "Displacement in three dimensions"

    def tags(self):
        return ["insar", "gnss", "gps", "interferogram", "line of sight", "3d", "displacement", "sistem", "east", "north", "up"]

    def image(self):
        return ""

    def add_own(self):
        for k in TRACKS:
            self.addParameter(QgsProcessingParameterRasterLayer(f"LOS_{k}", tr("Line-of-sight displacement {0}").format(k), optional=True))
            unit = tr("Unit vectors {0}: bands east, north, up, from the ground to the satellite").format(k)
            self.addParameter(QgsProcessingParameterRasterLayer(f"UNIT_{k}", unit, optional=True))
            for name, text in (
                ("HEADING", tr("Heading {0} (degrees clockwise from north), without unit vectors")),
                ("INCIDENCE", tr("Incidence angle {0} (degrees), without unit vectors")),
                ("SIGMA", tr("Standard deviation {0} (m); empty: estimated")),
            ):
                made = QgsProcessingParameterNumber(f"{name}_{k}", text.format(k), qt.DOUBLE, None, True)
                self.addParameter(qt.advanced(made))
        offsets = tr("Displacement maps (east and north)")
        self.addParameter(QgsProcessingParameterMultipleLayers("OFFSETS", offsets, QgsProcessing.TypeRaster, optional=True))
        gnss = QgsProcessingParameterFile("GNSS", tr("GNSS stations: table, or series (.csv, .tenv3)"), optional=True)
        self.addParameter(gnss)
        folder = QgsProcessingParameterFile("GNSS_FOLDER", tr("Folder of GNSS series"), qt.FOLDER, optional=True)
        self.addParameter(qt.advanced(folder))
        values = [c["value"] for c in self.known()["METHOD"]["choices"]]
        self.addParameter(QgsProcessingParameterEnum("METHOD", tr("Method"), values, False, values[0], usesStaticStrings=True))
        more = QgsProcessingParameterString("MAPS", tr("Further maps, one a line"), None, True, True)
        if hasattr(more, "setHelp"):
            more.setHelp(tr("As in LOS=los.tif,heading=-12,incidence=39 or AZIMUTH_OFFSET=azimuth.tif,heading=-12."))
        self.addParameter(qt.advanced(more))

    def initAlgorithm(self, configuration=None):  # noqa: N802
        super().initAlgorithm(configuration)
        self.add_report()

    def track(self, k, parameters, context):
        """LOS=FILE,key=value of a track; empty where there is none."""
        layer = self.parameterAsRasterLayer(parameters, f"LOS_{k}", context)
        if layer is None:
            return []
        word = f"LOS={inputs.raster_source(layer)[0]}"
        unit = self.parameterAsRasterLayer(parameters, f"UNIT_{k}", context)
        given = {n: parameters.get(f"{n}_{k}") for n in ("HEADING", "INCIDENCE", "SIGMA")}
        if unit is not None:
            word += f",unit={inputs.raster_source(unit)[0]}"
        elif given["HEADING"] is None or given["INCIDENCE"] is None:
            text = tr("Track {0}: where was the satellite? Give unit vectors, or heading and incidence.")
            raise QgsProcessingException(text.format(k))
        for name in ("HEADING", "INCIDENCE") if unit is None else ():
            word += f",{name.lower()}={self.parameterAsDouble(parameters, f'{name}_{k}', context)}"
        if given["SIGMA"] is not None:
            word += f",sigma={self.parameterAsDouble(parameters, f'SIGMA_{k}', context)}"
        return [word]

    def prepareAlgorithm(self, parameters, context, feedback):  # noqa: N802
        fine = super().prepareAlgorithm(parameters, context, feedback)
        for k in TRACKS:
            self.words += self.track(k, parameters, context)
        for layer in self.parameterAsLayerList(parameters, "OFFSETS", context) or []:
            self.words.append(f"OFFSETS={inputs.raster_source(layer)[0]}")
        for name in ("GNSS", "GNSS_FOLDER"):
            if parameters.get(name):
                self.words.append(f"GNSS={self.parameterAsString(parameters, name, context)}")
        self.words.append(f"METHOD={self.parameterAsEnumString(parameters, 'METHOD', context)}")
        further = self.parameterAsString(parameters, "MAPS", context) or ""
        self.words += [line.strip() for line in further.splitlines() if line.strip()]
        return fine

    def results(self, summary, output, parameters, context, feedback):
        styles.style_when_loaded(context, output, styles.product("m"), tr("East displacement (m)"))
        return self.write_reports(summary, parameters, context)
