//! An export as a file: line by line, each within its bound, and known to be whole only behind its last line.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use super::line::{Header, Line};
use super::{CRC32C, LINE_BYTES_MAX, VERSION};

/// Most of a line that is repeated to the operator.
const SHOWN_CHARS: usize = 60;

/// What is wrong with a file, and where.
#[derive(Debug, thiserror::Error)]
#[error("{}: line {line}: {what}", .path.display())]
pub(crate) struct Wrong {
    path: PathBuf,
    /// From 1.
    line: u64,
    what: String,
}

/// One file, from which lines are taken.
pub(crate) struct Lines<R> {
    path: PathBuf,
    input: R,
    line: Vec<u8>,
    /// Of the line that was taken last.
    number: u64,
    sum: crc::Digest<'static, u32>,
}

impl Lines<BufReader<File>> {
    /// Opens a file and takes its header.
    pub(crate) fn open(path: &Path) -> Result<(Self, Header), Wrong> {
        let wrong = |what: String| Wrong { path: path.to_owned(), line: 0, what };
        let file = File::open(path).map_err(|error| wrong(format!("cannot be opened: {error}")))?;
        Self::begin(path, BufReader::new(file))
    }
}

impl<R: BufRead> Lines<R> {
    pub(crate) fn begin(path: &Path, input: R) -> Result<(Self, Header), Wrong> {
        let sum = CRC32C.digest();
        let mut lines = Self { path: path.to_owned(), input, line: Vec::new(), number: 0, sum };
        if !lines.read()? {
            return Err(lines.wrong("the file is empty"));
        }
        let header = lines.header().map_err(|what| lines.wrong(what))?;
        Ok((lines, header))
    }

    /// What is wrong with the line that was taken last.
    pub(crate) fn wrong(&self, what: impl Into<String>) -> Wrong {
        Wrong { path: self.path.clone(), line: self.number, what: what.into() }
    }

    /// The next line; `None` behind the last, when the file has proved to be whole.
    pub(crate) fn next(&mut self) -> Result<Option<Line>, Wrong> {
        let before = self.number;
        if !self.read()? {
            self.number = before;
            return Err(self.wrong(
                "the file ends here, without its last line: it is a part of an export; export it again",
            ));
        }
        let line: Line = serde_json::from_slice(&self.line).map_err(|error| self.unread(&error))?;
        let Line::End { lines, crc32c } = line else {
            self.sum.update(&self.line);
            return Ok(Some(line));
        };
        let found = self.number.saturating_sub(2);
        if lines != found {
            return Err(
                self.wrong(format!("it says that {lines} lines stand before it, and there are {found}"))
            );
        }
        let sum = format!("{:08x}", self.sum.clone().finalize());
        if sum != crc32c {
            return Err(self.wrong(format!(
                "the lines before it have the checksum {sum}, not {crc32c}: at least one was changed; export it again"
            )));
        }
        if self.read()? {
            return Err(self.wrong("something stands behind the last line"));
        }
        Ok(None)
    }

    fn header(&self) -> Result<Header, String> {
        let not = |why: String| format!("it is no export of Maru: {why}");
        let value: serde_json::Value =
            serde_json::from_slice(&self.line).map_err(|error| not(error.to_string()))?;
        if value.get("maru").and_then(serde_json::Value::as_str) != Some(Header::WORD) {
            return Err(not("its first line does not say \"maru\":\"export\"".into()));
        }
        // Before all else: of another version nothing else is known.
        match value.get("version").and_then(serde_json::Value::as_u64) {
            Some(version) if version == u64::from(VERSION) => {}
            Some(version) => {
                return Err(format!(
                    "it is of version {version}, this program reads version {VERSION} alone"
                ));
            }
            None => return Err(not("its first line says no version".into())),
        }
        serde_json::from_value(value).map_err(|error| not(error.to_string()))
    }

    fn unread(&self, error: &serde_json::Error) -> Wrong {
        let shown: String = String::from_utf8_lossy(&self.line).chars().take(SHOWN_CHARS).collect();
        self.wrong(format!("it is no line of an export: {error}; it begins {shown:?}"))
    }

    /// The next line into `self.line`, with its end; false: there is none.
    fn read(&mut self) -> Result<bool, Wrong> {
        self.line.clear();
        self.number += 1;
        let mut bounded = self.input.by_ref().take(LINE_BYTES_MAX as u64 + 1);
        let read = bounded.read_until(b'\n', &mut self.line);
        match read {
            Err(error) => Err(self.wrong(format!("cannot be read: {error}"))),
            Ok(0) => Ok(false),
            Ok(bytes) if bytes > LINE_BYTES_MAX => {
                Err(self
                    .wrong(format!("it is longer than {LINE_BYTES_MAX} bytes, as no line of an export is")))
            }
            Ok(_) if self.line.last() != Some(&b'\n') => {
                Err(self.wrong("the file ends within this line: it is a part of an export; export it again"))
            }
            Ok(_) => Ok(true),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "{\"maru\":\"export\",\"version\":1,\"of\":\"channel\",\"id\":\"5\",\"at_ms\":7}\n";
    const SLOW: &str = "{\"line\":\"slow\",\"interval_s\":3}\n";

    fn end(lines: &str) -> String {
        let sum = CRC32C.checksum(lines.as_bytes());
        format!("{{\"line\":\"end\",\"lines\":{},\"crc32c\":\"{sum:08x}\"}}\n", lines.lines().count())
    }

    fn read(text: &str) -> Result<Vec<Line>, String> {
        let (mut lines, _) =
            Lines::begin(Path::new("f"), text.as_bytes()).map_err(|wrong| wrong.to_string())?;
        let mut all = Vec::new();
        while let Some(line) = lines.next().map_err(|wrong| wrong.to_string())? {
            all.push(line);
        }
        Ok(all)
    }

    #[test]
    fn a_whole_file_is_read_and_anything_less_is_refused_by_its_line() {
        let two = [SLOW, SLOW].concat();
        let whole = format!("{HEADER}{two}{}", end(&two));
        assert_eq!(read(&whole).unwrap().len(), 2);
        assert_eq!(read(&format!("{HEADER}{}", end(""))).unwrap(), []);
        // Every shorter file is a part.
        for bytes in 0..whole.len() {
            let wrong = read(&whole[..bytes]).unwrap_err();
            assert!(wrong.starts_with("f: line "), "{bytes}: {wrong}");
        }
        // Every bit counts, but for those of the header's time.
        let at_ms = whole.find("7}").unwrap();
        for at in (0..whole.len()).filter(|at| *at != at_ms) {
            let mut changed = whole.clone().into_bytes();
            changed[at] ^= 1;
            let Ok(changed) = String::from_utf8(changed) else { continue };
            let same_id = read(&changed).is_ok();
            // The id of the header is compared with the channel's line, which this file does not have.
            assert!(!same_id || whole[..at].ends_with("\"id\":\""), "{at}: {changed}");
        }
        let many = SLOW.repeat(3);
        for (text, line, says) in [
            (String::new(), 1, "the file is empty"),
            ("hello\n".into(), 1, "no export of Maru"),
            ("{\"maru\":\"backup\"}\n".into(), 1, "no export of Maru"),
            ("{\"maru\":\"export\",\"version\":2,\"of\":\"planet\"}\n".into(), 1, "of version 2"),
            (HEADER.replace("channel", "planet"), 1, "unknown variant `planet`"),
            (HEADER.replace(",\"at_ms\"", ",\"more\":1,\"at_ms\""), 1, "unknown field `more`"),
            (format!("{HEADER}{two}"), 3, "without its last line"),
            (format!("{HEADER}{}", &two[..two.len() - 1]), 3, "within this line"),
            (format!("{HEADER}{}{}", many, end(&two)), 5, "2 lines stand before it, and there are 3"),
            (format!("{HEADER}{}{}", two.replacen('3', "4", 1), end(&two)), 4, "checksum"),
            (format!("{whole}{SLOW}"), 5, "behind the last line"),
            (format!("{whole}{whole}"), 5, "behind the last line"),
            (format!("{HEADER}{{\"line\":\"poll\"}}\n"), 2, "unknown variant `poll`"),
            (format!("{HEADER}{}", SLOW.replace("}", ",\"x\":1}")), 2, "unknown field `x`"),
            (format!("{HEADER}{}", SLOW.replace("3", "\"3\"")), 2, "invalid type"),
            (format!("{HEADER}[]\n"), 2, "no line of an export"),
            (format!("{HEADER}{}\n", "x".repeat(10 * 1024 * 1024)), 2, "longer than 4194304 bytes"),
        ] {
            let wrong = read(&text).unwrap_err();
            assert!(
                wrong.starts_with(&format!("f: line {line}: ")) && wrong.contains(says),
                "{says}: {wrong}"
            );
        }
    }
}
