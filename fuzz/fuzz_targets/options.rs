//! `KEY=VALUE` lists: the first byte chooses the command, each line is an option.
#![no_main]

use libfuzzer_sys::fuzz_target;
use shiftmap::options;

fuzz_target!(|data: &[u8]| {
    let Some((choice, rest)) = data.split_first() else { return };
    let Ok(text) = std::str::from_utf8(rest) else { return };
    let commands = options::commands();
    let command = &commands[usize::from(*choice) % commands.len()].0;
    let lines: Vec<&str> = text.lines().collect();
    let pairs = match options::pairs(&lines) {
        Ok(pairs) => pairs,
        Err(e) => return assert!(!e.to_string().is_empty()),
    };
    // A path that looks like an option stays a path.
    if let Ok(words) = options::arguments(command, &["--overwrite"], &pairs) {
        assert!(words.ends_with(&["--".into(), "--overwrite".into()]), "{words:?}");
    }
    if let Err(e) = options::check(command, &pairs) {
        assert!(!e.to_string().is_empty());
    }
    // Messages may hold anything that was typed.
    let _ = options::reworded(command, shiftmap::Error::Data(text.into()));
    if let Ok(job) = options::array_job("a", "b", &pairs) {
        assert!(job.out.is_empty() && !job.resample);
    }
});
