//! The file of issuers: TOML, a table `[[issuer]]` for each identity provider whose people may come in.

use std::path::Path;
use std::sync::Arc;

use api::{Issuers, IssuersFile};
use client::trust::Trust;
use rustls::ClientConfig;

use super::ConfigError;
use super::source::{small_text, toml_fault};

/// Reads the file and those that it names; without one there are no issuers.
///
/// # Errors
/// [`ConfigError::Issuers`]
pub fn issuers(file: Option<&Path>) -> Result<Issuers, ConfigError> {
    let Some(path) = file else { return Ok(Issuers::default()) };
    let refuse = |fault: String| ConfigError::Issuers { path: path.to_owned(), fault };
    let text = small_text(path).map_err(refuse)?;
    let file: IssuersFile = toml::from_str(&text).map_err(|error| refuse(toml_fault(&text, &error)))?;
    Issuers::new(file, &trusting).map_err(refuse)
}

fn trusting(authorities: Option<&Path>) -> Result<Arc<ClientConfig>, String> {
    Trust::named(None, authorities).and_then(|trust| trust.config()).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Issuers, ConfigError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("issuers.toml");
        std::fs::write(&path, text).unwrap();
        issuers(Some(&path))
    }

    #[test]
    fn a_file_of_issuers() {
        assert!(issuers(None).unwrap().is_empty());
        assert!(read("").unwrap().is_empty());
        let good = "[[issuer]]\nissuer = \"http://127.0.0.1:9\"\naudiences = [\"maru\"]\nalgorithms = [\"ES256\"]\n\
                    discovery = true\ncreate = \"on_first_sight\"\n";
        assert!(!read(good).unwrap().is_empty());
        for (wrong, words) in [
            (good.replace("ES256", "none"), "none"),
            (good.replace("discovery", "discover"), "line 5"),
            (good.replace("on_first_sight", "always"), "on_first_sight"),
            (format!("{good}{good}"), "twice"),
            ("[[issuer".to_owned(), "line 1"),
        ] {
            let fault = read(&wrong).unwrap_err().to_string();
            assert!(fault.contains(words) && fault.contains("issuers.toml"), "{fault}");
        }
        assert!(issuers(Some(Path::new("/nonexistent"))).is_err());
    }
}
