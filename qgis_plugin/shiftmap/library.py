"""libshiftmap: where it is, and calls into it. Knows nothing of QGIS."""

import ctypes
import ctypes.util
import importlib.util
import json
import os
import sys
from ctypes import POINTER, c_char_p, c_double, c_int, c_void_p
from pathlib import Path

# The oldest library that this plugin works with, as shiftmap_version_number() counts.
OLDEST = (0, 1, 0)
CANCELLED = 300
NOTE = 1
PROGRESS = ctypes.CFUNCTYPE(c_int, c_double, c_char_p, c_void_p)
LOG = ctypes.CFUNCTYPE(None, c_int, c_char_p, c_void_p)
FILES = {"darwin": "libshiftmap.dylib", "win32": "shiftmap.dll"}
FILE = FILES.get(sys.platform, "libshiftmap.so")
INSTALL = (
    "Install it with `make plugin-install` or `make install` from shiftmap's sources, or with `pip install` of its wheel "
    "(`make wheel`), or name its file in Settings > Options > Processing > Providers > shiftmap or in the environment "
    "variable SHIFTMAP_LIBRARY; then restart QGIS."
)


class Missing(Exception):
    """No usable library; the text says where it was looked for and how to install it."""


class Failed(Exception):
    """A call failed; the text is the library's."""


class Cancelled(Failed):
    """The user stopped the run."""


def _chosen(path, what):
    """A file, or the folder that has it."""
    path = Path(path).expanduser()
    return (what, path / FILE if path.is_dir() else path)


def places(setting="", profile=""):
    """Where the library is looked for, in order: (what, file)."""
    if setting:
        yield _chosen(setting, "the setting")
    if os.environ.get("SHIFTMAP_LIBRARY"):
        yield _chosen(os.environ["SHIFTMAP_LIBRARY"], "SHIFTMAP_LIBRARY")
    if profile:
        yield ("the QGIS profile", Path(profile) / "shiftmap" / FILE)
    # The wheel's package has this plugin's name, so it cannot be imported here: its file is looked for.
    for folder in sys.path:
        file = Path(folder or ".") / "shiftmap" / "_files" / FILE
        if file.is_file():
            yield ("the Python wheel", file)
    for folder in ("/usr/local/lib", "/usr/lib"):
        if (Path(folder) / FILE).is_file():
            yield ("the system", Path(folder) / FILE)
    found = ctypes.util.find_library("shiftmap")
    yield ("the system", Path(found) if found else Path(FILE))


def load(setting="", profile=""):
    """The first library found; a place that the user named must work."""
    tried = []
    for what, path in places(setting, profile):
        named = what in ("the setting", "SHIFTMAP_LIBRARY")
        if path.is_absolute() and not path.is_file():
            tried.append(f"{what}: {path} does not exist")
        else:
            try:
                return Library(path)
            except Missing as error:
                tried.append(f"{what}: {error}")
        if named:
            break
    raise Missing("The library libshiftmap was not found or cannot be used. Looked for in:\n"
                  + "\n".join(f"- {line}" for line in tried) + f"\n{INSTALL}")


class Library:
    """The functions of shiftmap.h that the plugin needs. May be used by several threads."""

    def __init__(self, path):
        self.path = str(path)
        strings = POINTER(c_char_p)
        try:
            self.c = ctypes.CDLL(self.path)
            for name, result, arguments in [
                ("version", c_char_p, []),
                ("version_number", c_int, []),
                ("build_info", c_char_p, []),
                ("context_new", c_void_p, []),
                ("context_free", None, [c_void_p]),
                ("last_error", c_char_p, [c_void_p]),
                ("set_log", c_int, [c_void_p, LOG, c_void_p]),
                ("free", None, [c_void_p]),
                ("commands", c_int, [c_void_p, POINTER(c_void_p)]),
                ("options_json", c_int, [c_void_p, c_char_p, POINTER(c_void_p)]),
                ("check_options", c_int, [c_void_p, c_char_p, strings]),
                ("run", c_int, [c_void_p, c_char_p, strings, strings, POINTER(c_void_p), PROGRESS, c_void_p]),
            ]:
                function = getattr(self.c, "shiftmap_" + name)
                function.restype, function.argtypes = result, arguments
        except OSError as error:
            raise Missing(f"{self.path} cannot be loaded: {error}") from None
        except AttributeError as error:
            raise Missing(f"{self.path} is not shiftmap {self._text(OLDEST)} or newer: {error}") from None
        number = self.c.shiftmap_version_number()
        if number < OLDEST[0] * 10000 + OLDEST[1] * 100 + OLDEST[2]:
            raise Missing(f"{self.path} is version {self.version()}, too old: {self._text(OLDEST)} or newer is needed")
        self._options = {}
        self._onnxruntime = self._models = None
        with _Context(self) as context:
            text = context.text(self.c.shiftmap_commands)
        self.commands = {c["name"]: c["help"] for c in json.loads(text)}

    @staticmethod
    def _text(version):
        return ".".join(map(str, version))

    def version(self):
        return self.c.shiftmap_version().decode()

    def build_info(self):
        return self.c.shiftmap_build_info().decode()

    def register_driver(self):
        """Lets GDAL, and so QGIS, open .shiftmap files."""
        register = getattr(self.c, "GDALRegister_SHIFTMAP", None)
        if register is not None:
            register.restype, register.argtypes = None, []
            register()

    def options(self, command):
        """What shiftmap_options_json says, by name."""
        if command not in self._options:
            with _Context(self) as context:
                text = context.text(self.c.shiftmap_options_json, command.encode())
            self._options[command] = {o["name"]: o for o in json.loads(text)}
        return self._options[command]

    def models(self):
        """Names of the networks that the library finds; none for a library that has no networks."""
        if self._models is None:
            found = self.run("model list", [], [], None, None) if "model list" in self.commands else []
            self._models = [m["name"] for m in found if m["model"]]
        return self._models

    def onnxruntime(self):
        """Options that say where ONNX Runtime is, when only this Python knows."""
        if self._onnxruntime is None:
            self._onnxruntime = []
            if not self.run("info", [], [], None, None).get("onnxruntime", {}).get("library"):
                # Found without importing it: the library is all that is needed.
                package = importlib.util.find_spec("onnxruntime")
                folders = list(package.submodule_search_locations or []) if package else []
                self._onnxruntime = [f"ONNXRUNTIME={folder}" for folder in folders[:1]]
        return self._onnxruntime

    def check(self, command, options):
        """Raises Failed when an option is wrong."""
        with _Context(self) as context:
            context.check(self.c.shiftmap_check_options(context.pointer, command.encode(), _strings(options)))

    def run(self, command, arguments, options, progress, log):
        """Runs a command; its JSON result. progress(fraction, message) returns whether to go on, on this thread."""
        with _Context(self, progress, log) as context:
            result = c_void_p()
            context.check(
                self.c.shiftmap_run(
                    context.pointer, command.encode(), _strings(arguments), _strings(options),
                    ctypes.byref(result), context.progress, None,
                )
            )
            return json.loads(context.take(result) or "{}")


def _strings(texts):
    return (c_char_p * (len(texts) + 1))(*[t.encode() for t in texts], None)


class _Context:
    """A shiftmap_context; exceptions of the callbacks stop the call and are raised after it."""

    def __init__(self, library, progress=None, log=None):
        self.c, self.raised = library.c, None

        def on_progress(fraction, message, _):
            try:
                return int(self.raised is None and (progress is None or bool(progress(fraction, message.decode()))))
            except BaseException as error:
                self.raised = error
                return 0

        def on_log(level, message, _):
            try:
                if log is not None:
                    log(level, message.decode())
            except BaseException as error:
                self.raised = error

        self.progress, self.log = PROGRESS(on_progress), LOG(on_log)

    def __enter__(self):
        self.pointer = self.c.shiftmap_context_new()
        self.c.shiftmap_set_log(self.pointer, self.log, None)
        return self

    def __exit__(self, *_):
        self.c.shiftmap_context_free(self.pointer)

    def check(self, code):
        if self.raised is not None:
            raise self.raised
        if code:
            text = self.c.shiftmap_last_error(self.pointer).decode()
            raise (Cancelled if code == CANCELLED else Failed)(text)

    def take(self, pointer):
        if not pointer:
            return ""
        text = ctypes.string_at(pointer).decode()
        self.c.shiftmap_free(pointer)
        return text

    def text(self, function, *arguments):
        pointer = c_void_p()
        self.check(function(self.pointer, *arguments, ctypes.byref(pointer)))
        return self.take(pointer)
