//! Names of users, asked once.

use std::collections::HashMap;

use protocol::UserId;
use unicode_normalization::UnicodeNormalization;

use crate::account::{Account, AccountError};

/// Names remembered; then all are forgotten and asked again.
const NAMES_MAX: usize = 10_000;

/// Whether two names are the same to people: in another case, width or normal form, or with a space behind.
pub(super) fn alike(one: &str, other: &str) -> bool {
    plain(one) == plain(other)
}

/// A name as it is compared.
pub(super) fn plain(name: &str) -> String {
    name.trim().nfkc().collect::<String>().to_lowercase().nfkc().collect()
}

#[derive(Debug)]
pub(super) struct Names {
    account: Account,
    names: HashMap<UserId, String>,
    users: HashMap<String, UserId>,
}

impl Names {
    pub(super) fn new(account: Account) -> Self {
        Self { account, names: HashMap::new(), users: HashMap::new() }
    }

    pub(super) fn learn(&mut self, user: UserId, name: &str) {
        if self.names.len() >= NAMES_MAX {
            self.names.clear();
            self.users.clear();
        }
        self.names.insert(user, name.to_owned());
        self.users.insert(name.to_owned(), user);
    }

    /// The name, or the id when it cannot be found out now.
    pub(super) async fn name(&mut self, token: &str, user: UserId) -> String {
        if let Some(name) = self.names.get(&user) {
            return name.clone();
        }
        match self.account.user_by_id(token, user).await {
            Ok(found) => {
                self.learn(user, &found.name);
                found.name
            }
            Err(_) => user.to_string(),
        }
    }

    pub(super) async fn user(&mut self, token: &str, name: &str) -> Result<UserId, AccountError> {
        if let Some(user) = self.users.get(name) {
            return Ok(*user);
        }
        let found = self.account.user_by_name(token, name).await?;
        self.learn(found.user, &found.name);
        // The name may have been written in another case.
        self.users.insert(name.to_owned(), found.user);
        Ok(found.user)
    }
}

#[cfg(test)]
mod tests {
    use super::alike;

    #[test]
    fn names_are_compared_as_people_mean_them() {
        for (one, other) in
            [("Ann", "ann "), ("\u{1103}\u{116e}\u{11af}", "둘"), ("e\u{301}VE", "Éve"), ("ＢＯＢ", "bob")]
        {
            assert!(alike(one, other), "{one} {other}");
        }
        assert!(!alike("ann", "anne") && !alike("둘", "돌"));
    }
}
