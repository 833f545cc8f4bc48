//! The outermost level of an ONNX file: its metadata and opset, read without ONNX Runtime.
//!
//! An ONNX file is one protobuf message `ModelProto` (onnx.proto, IR version 3 and later): field 8 `opset_import`
//! (1 domain, 2 version), field 14 `metadata_props` (1 key, 2 value), field 7 the graph. Everything else is skipped.

/// What a file says about itself.
#[derive(Debug, Default, PartialEq)]
pub struct Header {
    /// Key and value of every metadata entry, in file order.
    pub metadata: Vec<(String, String)>,
    /// Version of the standard operators.
    pub opset: u64,
}

/// One field: its number and content.
enum Field<'a> {
    Number(u64, u64),
    Bytes(u64, &'a [u8]),
    Fixed,
}

struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn varint(&mut self) -> Option<u64> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let (&byte, rest) = self.0.split_first()?;
            self.0 = rest;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    fn take(&mut self, n: u64) -> Option<&'a [u8]> {
        let (bytes, rest) = self.0.split_at_checked(usize::try_from(n).ok()?)?;
        self.0 = rest;
        Some(bytes)
    }

    fn field(&mut self) -> Option<Field<'a>> {
        let tag = self.varint()?;
        Some(match tag & 7 {
            0 => Field::Number(tag >> 3, self.varint()?),
            2 => {
                let n = self.varint()?;
                Field::Bytes(tag >> 3, self.take(n)?)
            }
            1 => self.take(8).map(|_| Field::Fixed)?,
            5 => self.take(4).map(|_| Field::Fixed)?,
            _ => return None,
        })
    }
}

/// Reads the header; `None` when the bytes are not an ONNX model or end too early.
pub fn header(bytes: &[u8]) -> Option<Header> {
    let mut fields = Fields(bytes);
    let (mut header, mut graph) = (Header::default(), false);
    while !fields.0.is_empty() {
        match fields.field()? {
            Field::Bytes(7, _) => graph = true,
            Field::Bytes(8, entry) => {
                let (domain, version) = opset(entry)?;
                if domain.is_empty() || domain == b"ai.onnx" {
                    header.opset = version;
                }
            }
            Field::Bytes(14, entry) => header.metadata.push(pair(entry)?),
            _ => {}
        }
    }
    graph.then_some(header)
}

fn opset(bytes: &[u8]) -> Option<(&[u8], u64)> {
    let mut fields = Fields(bytes);
    let (mut domain, mut version) = (&[][..], 0);
    while !fields.0.is_empty() {
        match fields.field()? {
            Field::Bytes(1, name) => domain = name,
            Field::Number(2, v) => version = v,
            _ => {}
        }
    }
    Some((domain, version))
}

fn pair(bytes: &[u8]) -> Option<(String, String)> {
    let mut fields = Fields(bytes);
    let (mut key, mut value) = (String::new(), String::new());
    while !fields.0.is_empty() {
        match fields.field()? {
            Field::Bytes(1, text) => key = String::from_utf8(text.into()).ok()?,
            Field::Bytes(2, text) => value = String::from_utf8(text.into()).ok()?,
            _ => {}
        }
    }
    Some((key, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cut_and_foreign_files_are_not_models() {
        // ir_version 8; graph of two bytes; opset 17; metadata a = b.
        let whole =
            [&[8, 8][..], &[0x3a, 2, 0, 0], &[0x42, 2, 0x10, 17], &[0x72, 6, 0x0a, 1, b'a', 0x12, 1, b'b']].concat();
        let found = header(&whole).unwrap();
        assert_eq!((found.opset, found.metadata), (17, vec![("a".into(), "b".into())]));
        for n in [1, 3, 5, 9, 11, 15] {
            assert!(header(&whole[..n]).is_none(), "{n}");
        }
        for text in ["", "not a model", "II*\0"] {
            assert!(header(text.as_bytes()).is_none(), "{text}");
        }
        assert!(header(&[0x3a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]).is_none());
    }
}
