//! What a data directory holds besides its store, and cannot be missing: lines `must NAME` of the marker. They are written
//! when the first start has made everything; from then on whoever does not find a part says so and makes none.

use std::path::Path;

use crate::directory::{put_marker, read_marker, write_new_marker};
use crate::error::StoreError;

const MUST: &str = "must ";

/// The names that the marker promises; `None` where there is no marker, or one of a first start that was cut short or of a
/// version before 0.2.0, which promised nothing.
///
/// # Errors
/// The marker cannot be read.
pub fn promised(dir: &Path) -> Result<Option<Vec<String>>, StoreError> {
    let Some(marker) = read_marker(dir)? else { return Ok(None) };
    let names: Vec<String> =
        marker.text.lines().filter_map(|line| line.strip_prefix(MUST)).map(str::to_owned).collect();
    Ok((!names.is_empty()).then_some(names))
}

/// Promises these too. Only for whoever has the store open.
///
/// # Errors
/// The marker cannot be read or replaced.
pub fn promise(dir: &Path, names: &[&str]) -> Result<(), StoreError> {
    let Some(marker) = read_marker(dir)? else { return Ok(()) };
    let has = |name: &str| marker.text.lines().any(|line| line.strip_prefix(MUST) == Some(name));
    let missing: Vec<&&str> = names.iter().filter(|name| !has(name)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let mut text = marker.text.trim_end().to_owned() + "\n";
    for name in missing {
        text = text + MUST + name + "\n";
    }
    write_new_marker(dir, &text)?;
    put_marker(dir)
}
