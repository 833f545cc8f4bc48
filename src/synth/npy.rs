//! NumPy's files: arrays (`.npy`) and zip archives of them (`.npz`).
//!
//! Format: NumPy Enhancement Proposal 1, version 1.0 headers, little endian, C order; archives are not compressed and carry
//! no dates, so that the same arrays give the same bytes.

use half::f16;
use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Write};
use std::path::Path;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipArchive, ZipWriter};

use crate::{Error, Result};

/// An array: shape and numbers in C order.
#[derive(Debug, Clone, PartialEq)]
pub struct Array {
    pub shape: Vec<usize>,
    pub data: Data,
}

/// Numbers of one of the kinds that are written here.
#[derive(Debug, Clone, PartialEq)]
pub enum Data {
    U8(Vec<u8>),
    U16(Vec<u16>),
    I32(Vec<i32>),
    F16(Vec<f16>),
    F32(Vec<f32>),
}

impl Data {
    fn descr(&self) -> &'static str {
        match self {
            Data::U8(_) => "|u1",
            Data::U16(_) => "<u2",
            Data::I32(_) => "<i4",
            Data::F16(_) => "<f2",
            Data::F32(_) => "<f4",
        }
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        match self {
            Data::U8(v) => v.len(),
            Data::U16(v) => v.len(),
            Data::I32(v) => v.len(),
            Data::F16(v) => v.len(),
            Data::F32(v) => v.len(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn bytes(&self) -> Vec<u8> {
        match self {
            Data::U8(v) => v.clone(),
            Data::U16(v) => v.iter().flat_map(|v| v.to_le_bytes()).collect(),
            Data::I32(v) => v.iter().flat_map(|v| v.to_le_bytes()).collect(),
            Data::F16(v) => v.iter().flat_map(|v| v.to_le_bytes()).collect(),
            Data::F32(v) => v.iter().flat_map(|v| v.to_le_bytes()).collect(),
        }
    }

    fn parse(descr: &str, bytes: &[u8]) -> Option<Data> {
        fn each<T, const N: usize>(bytes: &[u8], make: fn([u8; N]) -> T) -> Vec<T> {
            bytes.as_chunks::<N>().0.iter().map(|c| make(*c)).collect()
        }
        Some(match descr {
            "|u1" => Data::U8(bytes.to_vec()),
            "<u2" => Data::U16(each(bytes, u16::from_le_bytes)),
            "<i4" => Data::I32(each(bytes, i32::from_le_bytes)),
            "<f2" => Data::F16(each(bytes, f16::from_le_bytes)),
            "<f4" => Data::F32(each(bytes, f32::from_le_bytes)),
            _ => return None,
        })
    }
}

impl Array {
    pub fn new(shape: &[usize], data: Data) -> Array {
        Array { shape: shape.to_vec(), data }
    }

    /// The arrays one after the other along a new first axis; `None` when they differ in shape or kind.
    pub fn stack(parts: &[&Array]) -> Option<Array> {
        let first = parts.first()?;
        let mut shape = vec![parts.len()];
        shape.extend(&first.shape);
        let mut bytes = Vec::new();
        for part in parts {
            if part.shape != first.shape || part.data.descr() != first.data.descr() {
                return None;
            }
            bytes.extend(part.data.bytes());
        }
        Some(Array { shape, data: Data::parse(first.data.descr(), &bytes)? })
    }

    fn npy(&self) -> Vec<u8> {
        let sizes: Vec<String> = self.shape.iter().map(|n| format!("{n},")).collect();
        let mut text = format!(
            "{{'descr': '{}', 'fortran_order': False, 'shape': ({}), }}",
            self.data.descr(),
            sizes.join(" ").trim_end_matches(if self.shape.len() > 1 { "," } else { "" })
        );
        // Magic, version and length take 10 bytes; the whole header is a multiple of 64 and ends with a newline.
        while (10 + text.len() + 1) % 64 != 0 {
            text.push(' ');
        }
        text.push('\n');
        let mut out = b"\x93NUMPY\x01\x00".to_vec();
        out.extend((text.len() as u16).to_le_bytes());
        out.extend(text.as_bytes());
        out.extend(self.data.bytes());
        out
    }

    fn from_npy(bytes: &[u8]) -> Option<Array> {
        if bytes.get(..8)? != b"\x93NUMPY\x01\x00" {
            return None;
        }
        let length = u16::from_le_bytes([*bytes.get(8)?, *bytes.get(9)?]) as usize;
        let header = std::str::from_utf8(bytes.get(10..10 + length)?).ok()?;
        let after = |key: &str| header.split_once(key).map(|p| p.1.trim_start_matches([' ', ':']));
        let descr = after("'descr'")?.split('\'').nth(1)?;
        let inner = after("'shape'")?.trim_start_matches('(').split(')').next()?;
        let shape: Vec<usize> =
            inner.split(',').map(str::trim).filter(|s| !s.is_empty()).map(|s| s.parse().ok()).collect::<Option<_>>()?;
        let data = Data::parse(descr, &bytes[10 + length..])?;
        (data.len() == shape.iter().product::<usize>() && header.contains("False")).then_some(Array { shape, data })
    }
}

/// Writes named arrays as an archive that `numpy.load` reads. The file appears under its name when it is complete.
///
/// # Errors
/// [`Error::Write`].
pub fn write_npz(path: &Path, arrays: &[(&str, Array)]) -> Result<()> {
    whole_file(path, |file| {
        let mut zip = ZipWriter::new(BufWriter::new(file));
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Stored)
            .last_modified_time(DateTime::default())
            .unix_permissions(0o644);
        for (name, array) in arrays {
            let bytes = array.npy();
            zip.start_file(format!("{name}.npy"), options.large_file(bytes.len() as u64 > u64::from(u32::MAX) / 2))
                .map_err(std::io::Error::from)?;
            zip.write_all(&bytes)?;
        }
        zip.finish().map_err(std::io::Error::from)?.flush()
    })
}

/// Prefix of files that are not complete.
pub(crate) const UNFINISHED: &str = ".unfinished-";

/// Writes a file under another name and renames it when it is complete.
pub(crate) fn whole_file(path: &Path, write: impl FnOnce(File) -> std::io::Result<()>) -> Result<()> {
    let fail = |e: std::io::Error| Error::Write { path: path.display().to_string(), why: e.to_string() };
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let temporary = path.with_file_name(format!("{UNFINISHED}{name}"));
    let made = File::create(&temporary).and_then(write).and_then(|()| std::fs::rename(&temporary, path));
    made.map_err(|e| {
        let _ = std::fs::remove_file(&temporary);
        fail(e)
    })
}

/// Reads the arrays of an archive written by [`write_npz`], in its order.
///
/// # Errors
/// [`Error::Open`], [`Error::Read`].
pub fn read_npz(path: &Path) -> Result<Vec<(String, Array)>> {
    let open = |why: String| Error::Open { path: path.display().to_string(), why };
    let read = |why: String| Error::Read { path: path.display().to_string(), why };
    let file = File::open(path).map_err(|e| open(e.to_string()))?;
    let mut zip = ZipArchive::new(BufReader::new(file)).map_err(|e| open(e.to_string()))?;
    let mut arrays = Vec::new();
    for i in 0..zip.len() {
        let mut entry = zip.by_index(i).map_err(|e| read(e.to_string()))?;
        let name = entry.name().map_err(|e| read(e.to_string()))?.trim_end_matches(".npy").to_string();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).map_err(|e| read(e.to_string()))?;
        let array = Array::from_npy(&bytes)
            .ok_or_else(|| read(format!("{name}: not an array of the kinds that shiftmap writes")))?;
        arrays.push((name, array));
    }
    Ok(arrays)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_and_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.npz");
        let arrays = [
            ("flat", Array::new(&[3], Data::F32(vec![1.5, -2.0, 0.25]))),
            ("cube", Array::new(&[2, 1, 2], Data::F16([1.0, 2.0, 3.0, 4.0].map(f16::from_f32).to_vec()))),
            ("image", Array::new(&[2, 2], Data::U16(vec![0, 1, 65_535, 7]))),
            ("bytes", Array::new(&[2], Data::U8(vec![0, 255]))),
            ("index", Array::new(&[2], Data::I32(vec![-5, 9]))),
        ];
        write_npz(&path, &arrays).unwrap();
        let back = read_npz(&path).unwrap();
        assert_eq!(back.len(), 5);
        for ((name, array), (got_name, got)) in arrays.iter().zip(&back) {
            assert_eq!((*name, array), (got_name.as_str(), got));
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing unfinished is left");
    }

    #[test]
    fn stacks_along_a_new_axis() {
        let a = Array::new(&[2], Data::I32(vec![1, 2]));
        let b = Array::new(&[2], Data::I32(vec![3, 4]));
        assert_eq!(Array::stack(&[&a, &b]), Some(Array::new(&[2, 2], Data::I32(vec![1, 2, 3, 4]))));
        assert_eq!(Array::stack(&[&a, &Array::new(&[1], Data::I32(vec![1]))]), None);
    }
}
