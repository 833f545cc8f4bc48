//! Model cards: `KEY=VALUE` lines, or the bytes of a file that should be an ONNX model.
#![no_main]

use libfuzzer_sys::fuzz_target;
use shiftmap::net::card::{Card, Kind, PREFIX};
use shiftmap::net::onnx_file::header;

fn judged(metadata: &[(String, String)]) {
    match Card::from_metadata(metadata) {
        Ok(card) => {
            assert!(!card.name.is_empty() && card.tile % card.multiple.max(1) == 0 && card.bands > 0, "{card:?}");
            assert!(card.kind != Kind::Dense || card.tile >= 2 * card.halo + card.multiple, "{card:?}");
        }
        Err(e) => assert!(!e.is_empty()),
    }
}

fuzz_target!(|data: &[u8]| {
    if let Some(header) = header(data) {
        judged(&header.metadata);
    }
    if let Ok(text) = std::str::from_utf8(data) {
        let lines = text.lines().filter_map(|l| l.split_once('='));
        let metadata: Vec<_> = lines.map(|(k, v)| (format!("{PREFIX}{k}"), v.to_string())).collect();
        judged(&metadata);
    }
});
