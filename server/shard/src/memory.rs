//! What a shard has in memory of what the store holds, for users and for channels alike. Each is loaded when something asks
//! for it, and what asked waits in its place until then. It leaves again when nobody used it since it was last looked at
//! (the CLOCK algorithm, Corbato 1968): each one in memory stands once in a ring, with its use as it was seen last.

use core::hash::Hash;
use std::collections::VecDeque;

use crate::idmap::{IdMap, Seeded};
use crate::limits::{LOOKS_EACH, LOOKS_MIN};

/// Values `T` by their ids `K`; `W` is what waits for one that is being loaded.
#[derive(Debug)]
pub(crate) struct Memory<K, T, W> {
    slots: IdMap<K, Slot<T, W>>,
    ring: VecDeque<(K, u64)>,
    /// So many were loaded, or may have become idle, since the last [`Self::evict`].
    changed: usize,
}

#[derive(Debug)]
enum Slot<T, W> {
    Loading(W),
    /// The turn that used it last. Boxed, so that the empty places of the map cost little.
    Live(u64, Box<T>),
}

/// Where one is.
#[derive(Debug)]
pub(crate) enum Found<'a, T, W> {
    Live(&'a mut T),
    Loading(&'a mut W),
    Nowhere,
}

/// One of the ring, looked at.
#[derive(Debug)]
pub(crate) enum Looked<'a, T> {
    /// Since it was last looked at, or in this turn.
    Used,
    Unused(&'a mut T),
}

impl<K: Copy + Eq + Hash, T, W> Memory<K, T, W> {
    pub(crate) fn new(seed: Seeded) -> Self {
        Self { slots: IdMap::with_hasher(seed), ring: VecDeque::new(), changed: 0 }
    }

    /// In memory, or on the way there.
    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether it is in memory, or on the way there.
    pub(crate) fn contains(&self, id: &K) -> bool {
        self.slots.contains_key(id)
    }

    pub(crate) fn get(&self, id: &K) -> Option<&T> {
        match self.slots.get(id)? {
            Slot::Live(_, value) => Some(value),
            Slot::Loading(_) => None,
        }
    }

    pub(crate) fn get_mut(&mut self, id: &K) -> Option<&mut T> {
        match self.slots.get_mut(id)? {
            Slot::Live(_, value) => Some(value),
            Slot::Loading(_) => None,
        }
    }

    /// The same, which uses it.
    pub(crate) fn use_mut(&mut self, id: &K, turn: u64) -> Option<&mut T> {
        match self.find(id, turn) {
            Found::Live(value) => Some(value),
            Found::Loading(_) | Found::Nowhere => None,
        }
    }

    /// The same, or what waits for it.
    pub(crate) fn find(&mut self, id: &K, turn: u64) -> Found<'_, T, W> {
        match self.slots.get_mut(id) {
            Some(Slot::Live(used, value)) => {
                *used = turn;
                Found::Live(value)
            }
            Some(Slot::Loading(waiting)) => Found::Loading(waiting),
            None => Found::Nowhere,
        }
    }

    /// One that is nowhere is being loaded from now on.
    pub(crate) fn begin(&mut self, id: K, waiting: W) {
        self.slots.insert(id, Slot::Loading(waiting));
    }

    /// It is there. Says what waited for it.
    pub(crate) fn loaded(&mut self, id: K, value: T, turn: u64) -> Option<W> {
        self.ring.push_back((id, turn));
        self.changed += 1;
        match self.slots.insert(id, Slot::Live(turn, Box::new(value))) {
            Some(Slot::Loading(waiting)) => Some(waiting),
            Some(Slot::Live(..)) | None => None,
        }
    }

    /// It could not be loaded. Says what waited for it.
    pub(crate) fn not_loaded(&mut self, id: &K) -> Option<W> {
        if self.get(id).is_some() {
            return None;
        }
        match self.slots.remove(id)? {
            Slot::Loading(waiting) => Some(waiting),
            Slot::Live(..) => None,
        }
    }

    /// One of them may have become idle.
    pub(crate) fn may_be_idle(&mut self) {
        self.changed += 1;
    }

    /// Looks at the next in the ring; `None` when the ring is empty.
    pub(crate) fn look(&mut self, turn: u64) -> Option<Looked<'_, T>> {
        let (id, seen) = self.ring.pop_front()?;
        let Some(Slot::Live(used, value)) = self.slots.get_mut(&id) else { return Some(Looked::Used) };
        self.ring.push_back((id, *used));
        Some(if *used == seen && *used != turn { Looked::Unused(value) } else { Looked::Used })
    }

    /// How often [`Self::look`] meets each once.
    pub(crate) fn ring_len(&self) -> usize {
        self.ring.len()
    }

    /// Takes what nobody used since it was last looked at, and which may go, down to a bound. Looks at as many as there was
    /// reason to since the last time, so that the bound holds however much is loaded.
    pub(crate) fn evict(
        &mut self,
        bound: usize,
        mut may_go: impl FnMut(K, &T) -> bool,
        mut gone: impl FnMut(T),
    ) {
        let looks = LOOKS_MIN + LOOKS_EACH * core::mem::take(&mut self.changed);
        for _ in 0..looks {
            if self.slots.len() <= bound {
                return;
            }
            let Some((id, seen)) = self.ring.pop_front() else { return };
            let Some(Slot::Live(used, value)) = self.slots.get(&id) else { continue };
            if *used != seen || !may_go(id, value) {
                self.ring.push_back((id, *used));
            } else if let Some(Slot::Live(_, value)) = self.slots.remove(&id) {
                gone(*value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Numbers = Memory<u64, u64, Vec<&'static str>>;

    fn numbers(ids: core::ops::Range<u64>) -> Numbers {
        let mut memory = Numbers::new(Seeded(7));
        for id in ids {
            memory.loaded(id, id * 10, 1);
        }
        memory
    }

    fn evicted(memory: &mut Numbers, bound: usize) -> Vec<u64> {
        let mut gone = Vec::new();
        memory.evict(bound, |_, _| true, |value| gone.push(value));
        gone
    }

    #[test]
    fn what_asked_waits_until_it_is_there_or_cannot_be() {
        let mut memory = Numbers::new(Seeded(7));
        assert!(matches!(memory.find(&1, 1), Found::Nowhere));
        memory.begin(1, vec!["a"]);
        let Found::Loading(waiting) = memory.find(&1, 1) else { panic!("it is being loaded") };
        waiting.push("b");
        assert_eq!((memory.get(&1), memory.len()), (None, 1));
        assert_eq!(memory.loaded(1, 10, 1), Some(vec!["a", "b"]));
        assert_eq!(memory.get(&1), Some(&10));
        assert_eq!((memory.not_loaded(&1), memory.not_loaded(&2)), (None, None));
        assert_eq!(memory.get(&1), Some(&10), "what is there stays");
        memory.begin(2, vec!["c"]);
        assert_eq!(memory.not_loaded(&2), Some(vec!["c"]));
        assert_eq!(memory.len(), 1);
    }

    #[test]
    fn who_was_used_since_the_last_look_stays_once_more() {
        let mut memory = numbers(0..4);
        assert_eq!(memory.use_mut(&1, 2).copied(), Some(10));
        assert_eq!(evicted(&mut memory, 2), [0, 20]);
        assert_eq!(evicted(&mut memory, 1), [30]);
        assert_eq!(evicted(&mut memory, 0), [10]);
        assert_eq!(evicted(&mut memory, 0), [0; 0]);
    }

    #[test]
    fn who_may_not_go_stays_and_the_bound_holds_for_the_others() {
        let mut memory = numbers(0..100);
        let mut gone = 0;
        memory.evict(10, |id, _| id >= 5, |_| gone += 1);
        assert_eq!((gone, memory.len()), (90, 10));
        assert!((0..5).all(|id| memory.get(&id).is_some()));
    }

    /// Without a change few are looked at, however many there are.
    #[test]
    fn the_looks_of_a_turn_are_bounded() {
        let mut memory = numbers(0..1000);
        assert_eq!(evicted(&mut memory, 1000), [0; 0]);
        assert_eq!(evicted(&mut memory, 0).len(), LOOKS_MIN);
        memory.may_be_idle();
        assert_eq!(evicted(&mut memory, 0).len(), LOOKS_MIN + LOOKS_EACH);
    }

    #[test]
    fn looking_goes_round() {
        let mut memory = numbers(0..2);
        memory.use_mut(&0, 2);
        assert!(matches!(memory.look(2), Some(Looked::Used)));
        assert!(matches!(memory.look(2), Some(Looked::Unused(10))));
        assert!(matches!(memory.look(2), Some(Looked::Used)), "it was used in this turn");
        assert!(matches!(memory.look(3), Some(Looked::Unused(_))));
        assert!(matches!(memory.look(3), Some(Looked::Unused(0))));
        assert!(Numbers::new(Seeded(7)).look(1).is_none());
    }
}
