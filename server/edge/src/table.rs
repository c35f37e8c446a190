//! The connections of one driver or endpoint, by number. A number is a place and how often the place was taken before, so it is
//! never used again within a process.

/// Uses of a place before it rests for ever: a number fits into 55 bits, and leaves two of the core's for the marks of QUIC and polls.
const GENERATIONS: u32 = 1 << 23;

/// A slab. Entries are boxed, so that growing it moves pointers and an empty place costs 16 bytes.
#[derive(Debug)]
pub struct Table<T> {
    places: Vec<Place<T>>,
    free: Vec<u32>,
    len: usize,
}

#[derive(Debug)]
struct Place<T> {
    generation: u32,
    entry: Option<Box<T>>,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self { places: Vec::new(), free: Vec::new(), len: 0 }
    }
}

impl<T> Table<T> {
    /// Entries now.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Adds an entry; `None` when numbers have run out, after 2^55 connections or at 2^32 - 1 at once.
    pub fn insert(&mut self, entry: Box<T>) -> Option<u64> {
        let index = match self.free.pop() {
            Some(index) => index,
            None => {
                let index = u32::try_from(self.places.len()).ok().filter(|index| *index < u32::MAX)?;
                self.places.push(Place { generation: 0, entry: None });
                index
            }
        };
        let place = self.places.get_mut(index as usize)?;
        place.entry = Some(entry);
        self.len += 1;
        Some(u64::from(place.generation) << 32 | u64::from(index))
    }

    /// The number that the next [`Self::insert`] gives; `None` when it will fail.
    #[must_use]
    pub fn next_number(&self) -> Option<u64> {
        let index = match self.free.last() {
            Some(index) => *index,
            None => u32::try_from(self.places.len()).ok().filter(|index| *index < u32::MAX)?,
        };
        let generation = self.places.get(index as usize).map_or(0, |place| place.generation);
        Some(u64::from(generation) << 32 | u64::from(index))
    }

    fn place(&self, number: u64) -> Option<usize> {
        let index = usize::try_from(number & u64::from(u32::MAX)).ok()?;
        let place = self.places.get(index)?;
        (u64::from(place.generation) == number >> 32).then_some(index)
    }

    /// The entry of a number.
    #[must_use]
    pub fn get(&self, number: u64) -> Option<&T> {
        self.places.get(self.place(number)?)?.entry.as_deref()
    }

    /// The same, to be changed.
    pub fn get_mut(&mut self, number: u64) -> Option<&mut T> {
        let index = self.place(number)?;
        self.places.get_mut(index)?.entry.as_deref_mut()
    }

    /// Takes an entry out. Its number is never used again.
    pub fn remove(&mut self, number: u64) -> Option<Box<T>> {
        let index = self.place(number)?;
        let place = self.places.get_mut(index)?;
        let entry = place.entry.take()?;
        self.len -= 1;
        // A place whose generations have run out is not used again.
        if let Some(next) = place.generation.checked_add(1).filter(|next| *next < GENERATIONS) {
            place.generation = next;
            self.free.push(u32::try_from(index).ok()?);
        }
        Some(entry)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_never_used_again() {
        let mut table = Table::default();
        let foretold = table.next_number();
        let first = table.insert(Box::new('a')).unwrap();
        assert_eq!(foretold, Some(first));
        let second = table.insert(Box::new('b')).unwrap();
        assert_eq!(table.remove(first).as_deref(), Some(&'a'));
        let foretold = table.next_number();
        let third = table.insert(Box::new('c')).unwrap();
        assert_eq!(foretold, Some(third));
        assert_eq!(table.get(first), None);
        assert_eq!(table.remove(first), None);
        assert_eq!((table.get(second), table.get(third), table.len()), (Some(&'b'), Some(&'c'), 2));
        assert_eq!(first & 0xffff_ffff, third & 0xffff_ffff, "the place is used again");
        assert_ne!(first, third);
    }

    #[test]
    fn generations_end() {
        let mut table = Table::default();
        let conn = table.insert(Box::new(1)).unwrap();
        table.places[0].generation = GENERATIONS - 1;
        assert_eq!(table.get(conn), None);
        let last = u64::from(GENERATIONS - 1) << 32;
        assert_eq!(table.remove(last).as_deref(), Some(&1));
        assert_eq!(table.insert(Box::new(2)).unwrap(), 1, "the worn place rests");
    }
}
