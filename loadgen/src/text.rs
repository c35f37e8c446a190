//! What a message says: a head that names it, and filler up to the wanted length.
//!
//! ```text
//! ~ nonce(4) number(7) intended_ns(11) filler...
//! ```
//! Numbers are written in 64 ASCII characters, six bits each. `nonce` tells runs and workers apart, `number` is the
//! message's own within its worker, `intended_ns` is when the schedule wanted it sent, on `CLOCK_MONOTONIC`.

use protocol::limits::TEXT_CHARS_MAX;

use crate::scenario::Script;

/// Characters of the head: the shortest text.
pub(crate) const HEAD_CHARS: usize = 1 + NONCE_CHARS + NUMBER_CHARS + TIME_CHARS;
/// Bits of a nonce.
pub(crate) const NONCE_BITS: u32 = 23;
/// Bits of a number.
pub(crate) const NUMBER_BITS: u32 = 40;

const MARK: u8 = b'~';
const NONCE_CHARS: usize = 4;
const NUMBER_CHARS: usize = 7;
const TIME_CHARS: usize = 11;
const DIGITS: &[u8; 64] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-_";

const _: () = assert!(NUMBER_CHARS * 6 >= NUMBER_BITS as usize && NONCE_CHARS * 6 >= NONCE_BITS as usize);

/// The head of a text.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Head {
    pub(crate) nonce: u32,
    pub(crate) number: u64,
    pub(crate) intended_ns: u64,
}

impl Head {
    /// Reads it off a text; `None` when the text is not of this tool.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let (mark, rest) = text.as_bytes().split_first()?;
        let (nonce, rest) = rest.split_at_checked(NONCE_CHARS)?;
        let (number, rest) = rest.split_at_checked(NUMBER_CHARS)?;
        let time = rest.get(..TIME_CHARS)?;
        if *mark != MARK {
            return None;
        }
        Some(Self {
            nonce: u32::try_from(undigits(nonce)?).ok()?,
            number: undigits(number)?,
            intended_ns: undigits(time)?,
        })
    }

    fn write(self, out: &mut String) {
        out.push(char::from(MARK));
        digits(u64::from(self.nonce), NONCE_CHARS, out);
        digits(self.number, NUMBER_CHARS, out);
        digits(self.intended_ns, TIME_CHARS, out);
    }
}

/// Makes texts. Filler is made once.
#[derive(Debug)]
pub(crate) struct Writer {
    latin: String,
    korean: String,
    text: String,
}

impl Writer {
    pub(crate) fn new() -> Self {
        let latin = "the quick brown fox jumps over the lazy dog, and again: ".chars().cycle();
        let korean = "다람쥐헌쳇바퀴에타고파마루에모여앉아이야기꽃을피운다".chars().cycle();
        Self {
            latin: latin.take(TEXT_CHARS_MAX).collect(),
            korean: korean.take(TEXT_CHARS_MAX).collect(),
            text: String::new(),
        }
    }

    /// A text of `chars` characters, at least the head.
    pub(crate) fn write(&mut self, head: Head, chars: usize, script: Script) -> &str {
        self.text.clear();
        head.write(&mut self.text);
        let chars = chars.saturating_sub(HEAD_CHARS);
        // Every character of the Korean filler has three bytes.
        let (filler, bytes) = match script {
            Script::Latin => (&self.latin, chars),
            Script::Korean => (&self.korean, 3 * chars),
        };
        self.text.push_str(filler.get(..bytes).unwrap_or_default());
        &self.text
    }
}

fn digits(number: u64, count: usize, out: &mut String) {
    for place in (0..count).rev() {
        let six = (number >> (6 * place)) & 63;
        let digit = usize::try_from(six).ok().and_then(|six| DIGITS.get(six));
        out.push(char::from(digit.copied().unwrap_or(b'0')));
    }
}

fn undigits(text: &[u8]) -> Option<u64> {
    text.iter().try_fold(0_u64, |number, byte| {
        let digit = match byte {
            b'0'..=b'9' => byte - b'0',
            b'A'..=b'Z' => byte - b'A' + 10,
            b'a'..=b'z' => byte - b'a' + 36,
            b'-' => 62,
            b'_' => 63,
            _ => return None,
        };
        Some(number << 6 | u64::from(digit))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_read_back_at_every_length() {
        let mut writer = Writer::new();
        for head in [
            Head { nonce: 0, number: 0, intended_ns: 0 },
            Head { nonce: (1 << NONCE_BITS) - 1, number: (1 << NUMBER_BITS) - 1, intended_ns: u64::MAX },
            Head { nonce: 77, number: 123_456_789, intended_ns: 987_654_321_012 },
        ] {
            for chars in [1, HEAD_CHARS, 64, TEXT_CHARS_MAX] {
                for script in [Script::Latin, Script::Korean] {
                    let text = writer.write(head, chars, script);
                    assert_eq!(Head::read(text), Some(head));
                    assert_eq!(text.chars().count(), chars.max(HEAD_CHARS));
                }
            }
        }
    }

    #[test]
    fn other_texts_are_not_ours() {
        for text in ["", "hello", "~", "~0000", "~000000000000000000000 ", "마루마루마루마루마루마루"]
        {
            assert_eq!(Head::read(text), None, "{text}");
        }
    }
}
