//! Bodies that hold a text: larger than others, so that few at a time are read, and of one user fewer.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::Request;
use protocol::UserId;
use protocol::limits::TEXT_CHARS_MAX;
use serde::de::DeserializeOwned;

use crate::error::ApiError;
use crate::json::{check_is_json, parse, read};
use crate::limiter::Limiter;
use crate::limits::{Limit, TEXTS_MAX, USER_TEXTS_MAX};

/// Every character of a text as JSON may write it at its longest, `\ud83d\ude00`, and what is around it.
const BYTES_MAX: usize = 12 * TEXT_CHARS_MAX + 1024;
/// When to come again, milliseconds.
const RETRY_MS: u64 = 500;

/// The places.
#[derive(Debug)]
pub(crate) struct Texts {
    taken: Arc<Mutex<Taken>>,
    limiter: Arc<Limiter>,
}

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    of_user: HashMap<UserId, usize>,
}

/// One place, free again once it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    taken: Arc<Mutex<Taken>>,
    user: UserId,
}

impl Texts {
    pub(crate) fn new(limiter: Arc<Limiter>) -> Self {
        Self { taken: Arc::default(), limiter }
    }

    /// Reads a body; its place is to be kept for as long as what was read.
    pub(crate) async fn read<T: DeserializeOwned>(
        &self,
        user: UserId,
        request: Request,
    ) -> Result<(Place, T), ApiError> {
        check_is_json(&request)?;
        let place = self.take(user)?;
        let body = read(request, BYTES_MAX).await?;
        Ok((place, parse(&body)?))
    }

    /// A place for a body.
    pub(crate) fn take(&self, user: UserId) -> Result<Place, ApiError> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let own = taken.of_user.get(&user).copied().unwrap_or_default();
        let full = if own >= USER_TEXTS_MAX {
            Some(Limit::UserTexts)
        } else {
            (taken.all >= TEXTS_MAX).then_some(Limit::Texts)
        };
        if let Some(limit) = full {
            self.limiter.refuse(limit);
            return Err(ApiError::busy(RETRY_MS, "many messages are being taken; send it again"));
        }
        taken.all += 1;
        taken.of_user.insert(user, own + 1);
        Ok(Place { taken: self.taken.clone(), user })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.all -= 1;
        if let Some(own) = taken.of_user.get_mut(&self.user) {
            *own -= 1;
            if *own == 0 {
                taken.of_user.remove(&self.user);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::Limits;

    #[test]
    fn a_user_has_some_and_all_have_more() {
        let texts = Texts::new(Arc::new(Limiter::new(Limits::default())));
        let own: Vec<Place> = (0..USER_TEXTS_MAX).map(|_| texts.take(UserId(1)).unwrap()).collect();
        assert_eq!(texts.take(UserId(1)).unwrap_err().code(), "busy");
        assert_eq!(texts.limiter.refused(Limit::UserTexts), 1);
        let mut others = Vec::new();
        for user in 2.. {
            let Ok(place) = texts.take(UserId(user)) else { break };
            others.push(place);
        }
        assert_eq!(own.len() + others.len(), TEXTS_MAX);
        assert_eq!(texts.limiter.refused(Limit::Texts), 1);
        drop(own);
        assert!(texts.take(UserId(1)).is_ok());
        drop(others);
        assert!(texts.taken.lock().unwrap().of_user.is_empty());
    }
}
