"""Enumerations under the names of new and old QGIS versions."""

from qgis.core import QgsProcessing, QgsProcessingParameterDefinition, QgsProcessingParameterFile, QgsProcessingParameterNumber

try:
    from qgis.core import Qgis

    ADVANCED = Qgis.ProcessingParameterFlag.Advanced
    INTEGER = Qgis.ProcessingNumberParameterType.Integer
    DOUBLE = Qgis.ProcessingNumberParameterType.Double
    VECTOR_LINE = Qgis.ProcessingSourceType.VectorLine
    VECTOR_POINT = Qgis.ProcessingSourceType.VectorPoint
    VECTOR = Qgis.ProcessingSourceType.Vector
    LINE_OR_POLYGON = [Qgis.ProcessingSourceType.VectorLine, Qgis.ProcessingSourceType.VectorPolygon]
    FOLDER = Qgis.ProcessingFileParameterBehavior.Folder
    RASTER_OR_POLYGON = [Qgis.ProcessingSourceType.Raster, Qgis.ProcessingSourceType.VectorPolygon]
except AttributeError:  # before QGIS 3.36
    ADVANCED = QgsProcessingParameterDefinition.FlagAdvanced
    INTEGER = QgsProcessingParameterNumber.Integer
    DOUBLE = QgsProcessingParameterNumber.Double
    VECTOR_LINE = QgsProcessing.TypeVectorLine
    VECTOR_POINT = QgsProcessing.TypeVectorPoint
    VECTOR = QgsProcessing.TypeVector
    LINE_OR_POLYGON = [QgsProcessing.TypeVectorLine, QgsProcessing.TypeVectorPolygon]
    FOLDER = QgsProcessingParameterFile.Folder
    RASTER_OR_POLYGON = [QgsProcessing.TypeRaster, QgsProcessing.TypeVectorPolygon]


def advanced(parameter):
    parameter.setFlags(parameter.flags() | ADVANCED)
    return parameter
