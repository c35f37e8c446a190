//! Why a query has no answer: damage that no retry mends, or an error that may pass.

use core::fmt;

use crate::id::BayId;

/// A read without an answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ReadFault {
    /// A committed row is gone, damaged, or contradicts another. Reading again finds the same, so nothing that needs it can
    /// go on: the process ends and names it.
    Corrupt {
        /// In which bay; `None` for a row of the whole store.
        bay: Option<BayId>,
        /// The family of rows; empty when the damage is not one family's.
        family: String,
        /// The row's key or where the search for it began, hex; empty when it is not one row.
        key: String,
        /// What is wrong with it.
        what: String,
    },
    /// The disk or the system did not give the bytes. It may next time: who waits is told so, and what must be read is read
    /// again after a pause.
    Io {
        /// The store or a file.
        place: String,
        /// The words of the operating system or of RocksDB.
        what: String,
    },
}

impl fmt::Display for ReadFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Corrupt { bay, family, key, what } => {
                match bay {
                    Some(bay) => write!(f, "bay {bay}")?,
                    None => write!(f, "the store")?,
                }
                if !family.is_empty() {
                    write!(f, ", family {family}")?;
                }
                if !key.is_empty() {
                    write!(f, ", key {key}")?;
                }
                write!(f, ": {what}")
            }
            Self::Io { place, what } => write!(f, "i/o error at {place}: {what}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_name_the_row() {
        let mut fault = ReadFault::Corrupt {
            bay: Some(BayId(3)),
            family: "member".into(),
            key: "00ff".into(),
            what: "cannot be read".into(),
        };
        assert_eq!(fault.to_string(), "bay 3, family member, key 00ff: cannot be read");
        if let ReadFault::Corrupt { family, key, .. } = &mut fault {
            family.clear();
            key.clear();
        }
        assert_eq!(fault.to_string(), "bay 3: cannot be read");
        if let ReadFault::Corrupt { bay, .. } = &mut fault {
            *bay = None;
        }
        assert_eq!(fault.to_string(), "the store: cannot be read");
    }
}
