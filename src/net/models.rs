//! Model files: by name in the folders of models, or by path.

use serde::Serialize;
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};

use super::card::{Card, Kind};
use super::{onnx_file, places};
use crate::{Error, Result};

/// The suffix of model files.
const SUFFIX: &str = "onnx";
/// The newest standard operators that the contract allows.
const OPSET: u64 = 17;
/// Larger files are no models of this kind.
const LARGEST: u64 = 1 << 30;

/// A model file that keeps the contract, as far as that can be seen without running it.
#[derive(Serialize)]
pub struct Model {
    pub path: String,
    pub card: Card,
    /// SHA-256 of the file, in hexadecimal digits.
    pub sha256: String,
    pub size: usize,
    #[serde(skip)]
    pub bytes: Vec<u8>,
}

impl std::fmt::Debug for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {} ({})", self.card.name, self.card.version, self.path)
    }
}

impl Model {
    /// Reads a model file and its card.
    ///
    /// # Errors
    /// [`Error::Open`]: not there, not an ONNX file, damaged, an opset that is too new, no card or a wrong one.
    pub fn read(path: &str) -> Result<Model> {
        let refuse = |why: String| Error::Open { path: path.into(), why };
        let about = std::fs::metadata(path).map_err(|e| refuse(format!("no model file: {e}")))?;
        if !about.is_file() || about.len() > LARGEST {
            return Err(refuse("not a model file: an .onnx file of up to 1 GB is wanted".into()));
        }
        let bytes = std::fs::read(path).map_err(|e| refuse(e.to_string()))?;
        let header = onnx_file::header(&bytes)
            .ok_or_else(|| refuse("not an ONNX model, or the file is damaged or cut short".into()))?;
        let card = Card::from_metadata(&header.metadata).map_err(refuse)?;
        if header.opset > OPSET {
            return Err(refuse(format!("it uses ONNX opset {}; up to {OPSET} is supported", header.opset)));
        }
        let sha256 = Sha256::digest(&bytes).iter().map(|b| format!("{b:02x}")).collect();
        Ok(Model { path: path.into(), card, sha256, size: bytes.len(), bytes })
    }

    /// The model that `--model` names: a file, or the name of one in the folders of models.
    ///
    /// # Errors
    /// [`Error::Option`] for a name that no folder has, otherwise those of [`Model::read`].
    pub fn find(name: &str) -> Result<Model> {
        Model::read(&path_of(name)?)
    }

    /// Refuses kinds that do not measure displacement between two images.
    ///
    /// # Errors
    /// [`Error::Option`] for the kind `insar_gnss`.
    pub fn for_images(self) -> Result<Model> {
        match self.card.kind {
            Kind::Dense | Kind::Window => Ok(self),
            Kind::InsarGnss => {
                let why = "it is of the kind insar_gnss, which needs interferograms and GNSS, not two images; choose a model \
                           of the kind dense or window";
                Err(Error::option("--model", &self.card.name, why))
            }
        }
    }
}

/// The file of a model given by name or path.
///
/// # Errors
/// [`Error::Option`] when no folder has the name.
pub fn path_of(name: &str) -> Result<String> {
    let path = Path::new(name);
    if path.extension().is_some_and(|e| e.eq_ignore_ascii_case(SUFFIX))
        || path.components().count() > 1
        || path.is_file()
    {
        return Ok(name.into());
    }
    let folders = places::model_folders();
    let files = folders.iter().map(|f| f.join(format!("{name}.{SUFFIX}")));
    if let Some(found) = files.into_iter().find(|f| f.is_file()) {
        return Ok(found.display().to_string());
    }
    let known = listed(&folders);
    let names: Vec<String> = known.iter().filter_map(|f| Some(f.file_stem()?.to_string_lossy().into_owned())).collect();
    let there = match (names.is_empty(), folders.is_empty()) {
        (false, _) => format!("there are {}", names.join(", ")),
        (true, false) => format!("there is none in {}", join(&folders)),
        (true, true) => format!("no folder of models was found; {} may name one", places::MODELS),
    };
    Err(Error::option(
        "--model",
        name,
        format!("no such model; {there}; a file is given with its path or its suffix .onnx"),
    ))
}

fn join(folders: &[PathBuf]) -> String {
    folders.iter().map(|f| f.display().to_string()).collect::<Vec<_>>().join(", ")
}

/// A file in the folders of models.
#[derive(Serialize)]
pub struct Listed {
    pub name: String,
    pub path: String,
    /// What is wrong with it.
    pub error: Option<String>,
    pub model: Option<Model>,
}

/// Every model of the folders, by name; a name that an earlier folder has hides later ones.
pub fn list() -> Vec<Listed> {
    let one = |path: PathBuf| {
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let path = path.display().to_string();
        match Model::read(&path) {
            Ok(model) => Listed { name, path, error: None, model: Some(model) },
            Err(e) => Listed { name, path, error: Some(e.to_string()), model: None },
        }
    };
    listed(&places::model_folders()).into_iter().map(one).collect()
}

/// The model files of folders.
fn listed(folders: &[PathBuf]) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = Vec::new();
    for folder in folders {
        let Ok(entries) = std::fs::read_dir(folder) else { continue };
        let mut files: Vec<PathBuf> = entries.flatten().map(|e| e.path()).collect();
        files.retain(|f| f.extension().is_some_and(|e| e == SUFFIX) && f.is_file());
        files.sort();
        for file in files {
            if !found.iter().any(|f| f.file_stem() == file.file_stem()) {
                found.push(file);
            }
        }
    }
    found.sort_by(|a, b| a.file_stem().cmp(&b.file_stem()));
    found
}
