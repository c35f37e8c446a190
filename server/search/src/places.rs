//! How far an index follows the store: a place in the fan-out log of each bay, kept with the documents.

use protocol::partition::BAYS;
use protocol::{BayId, Generation};

/// How texts become terms and documents. Another one reads nothing of this: the index is made anew.
const VERSION: u32 = 2;

/// How far an index has come with one bay.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Place {
    /// Of the bay, when it was read; another one means another past.
    pub generation: Generation,
    /// The last row of the log that is in the index; `None` while only some of the bay's histories are in it, which is compared
    /// with the store again.
    pub number: Option<u64>,
}

/// Of every bay its place; none where nothing is known yet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Places(Vec<Option<Place>>);

impl Default for Places {
    fn default() -> Self {
        Self(vec![None; usize::from(BAYS)])
    }
}

impl Places {
    /// One bay's.
    #[must_use]
    pub fn get(&self, bay: BayId) -> Option<Place> {
        self.0.get(usize::from(bay.0)).copied().flatten()
    }

    /// Sets one bay's.
    pub fn set(&mut self, bay: BayId, place: Option<Place>) {
        if let Some(slot) = self.0.get_mut(usize::from(bay.0)) {
            *slot = place;
        }
    }

    pub(crate) fn encode(&self) -> String {
        let one = |place: &Option<Place>| match place {
            Some(Place { generation, number: Some(number) }) => format!(" {:x}.{number:x}", generation.0),
            Some(Place { generation, number: None }) => format!(" {:x}.-", generation.0),
            None => " -".into(),
        };
        let places: String = self.0.iter().map(one).collect();
        format!("maru {VERSION}{places}")
    }

    /// `None`: of another version, or none at all.
    pub(crate) fn decode(text: &str) -> Option<Self> {
        let mut words = text.split(' ');
        let is_ours = words.next()? == "maru" && words.next()?.parse() == Ok(VERSION);
        let one = |word: &str| match word {
            "-" => Some(None),
            word => {
                let (generation, number) = word.split_once('.')?;
                let hex = |text| u64::from_str_radix(text, 16).ok();
                let number = if number == "-" { None } else { Some(hex(number)?) };
                Some(Some(Place { generation: Generation(hex(generation)?), number }))
            }
        };
        let places = words.map(one).collect::<Option<Vec<_>>>()?;
        (is_ours && places.len() == usize::from(BAYS)).then_some(Self(places))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_read_back() {
        let mut places = Places::default();
        let place = Place { generation: Generation(u64::MAX), number: Some(77) };
        places.set(BayId(63), Some(place));
        places.set(BayId(62), Some(Place { number: None, ..place }));
        assert_eq!(places.get(BayId(63)), Some(place));
        assert_eq!(Places::decode(&places.encode()), Some(places.clone()));
        let text = places.encode();
        for other in ["", "maru 2", &text.replace("maru 2", "maru 1"), &format!("{text} -"), "{}"] {
            assert_eq!(Places::decode(other), None, "{other}");
        }
    }
}
