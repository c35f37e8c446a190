//! Deliberate faults of the edge, in `server/edge/src`, which the tests of that crate must find.

use super::Mutant;

pub(crate) const MUTANTS: &[Mutant] = &[];
