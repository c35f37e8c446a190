//! Accounts at the providers of push that want one.

use push::apns::{self, Apns};
use push::fcm::{self, Fcm};
use push::secret::Secret;

/// What the operator has there.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PushAccounts {
    /// The key file of a service account.
    pub fcm: Option<Secret>,
    /// Where FCM is.
    pub fcm_url: String,
    /// A key of Apple's.
    pub apns_key: Option<Secret>,
    /// Its name.
    pub apns_key_id: Option<String>,
    /// Name of the team.
    pub apns_team_id: Option<String>,
    /// Bundle id of the app.
    pub apns_topic: Option<String>,
    /// Where APNs is.
    pub apns_url: String,
}

impl Default for PushAccounts {
    fn default() -> Self {
        Self {
            fcm: None,
            fcm_url: fcm::URL.into(),
            apns_key: None,
            apns_key_id: None,
            apns_team_id: None,
            apns_topic: None,
            apns_url: apns::URL.into(),
        }
    }
}

impl PushAccounts {
    /// FCM, if there is an account.
    ///
    /// # Errors
    /// Words for the operator: which setting and place, what was found, what was expected.
    pub(crate) fn open_fcm(&self) -> Result<Option<Fcm>, String> {
        let Some(secret) = &self.fcm else { return Ok(None) };
        let fault = |words: String| format!("push_fcm: {words}");
        let account = secret.read(api::is_on_volume_of_group).map_err(fault)?;
        let fcm = Fcm::new(&account, &self.fcm_url);
        fcm.map(Some).map_err(|words| fault(format!("{secret} {words}")))
    }

    /// APNs, if there is an account.
    ///
    /// # Errors
    /// Words for the operator: which setting and place, what was found, what was expected.
    pub(crate) fn open_apns(&self) -> Result<Option<Apns>, String> {
        let names = [
            ("push_apns_key", self.apns_key.is_some()),
            ("push_apns_key_id", self.apns_key_id.is_some()),
            ("push_apns_team_id", self.apns_team_id.is_some()),
            ("push_apns_topic", self.apns_topic.is_some()),
        ];
        let (Some(secret), Some(key_id), Some(team_id), Some(topic)) =
            (&self.apns_key, &self.apns_key_id, &self.apns_team_id, &self.apns_topic)
        else {
            let of = |is_set| names.iter().filter(move |(_, set)| *set == is_set).map(|(name, _)| *name);
            let (set, missing): (Vec<_>, Vec<_>) = (of(true).collect(), of(false).collect());
            return match set.is_empty() {
                true => Ok(None),
                false => Err(format!(
                    "{} is set, and {} is not; APNs wants all four, or none",
                    set.join(", "),
                    missing.join(", ")
                )),
            };
        };
        let fault = |words: String| format!("push_apns_key: {words}");
        let key = secret.read(api::is_on_volume_of_group).map_err(fault)?;
        let account =
            apns::Account { key_id: key_id.clone(), team_id: team_id.clone(), topic: topic.clone() };
        let apns = Apns::new(&key, account, &self.apns_url);
        apns.map(Some).map_err(|words| fault(format!("{secret} {words}")))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn what_is_missing_or_wrong_is_said_with_its_setting() {
        let none = PushAccounts::default();
        assert!(none.open_fcm().unwrap().is_none() && none.open_apns().unwrap().is_none());
        let some = PushAccounts { apns_topic: Some("org.example.maru".into()), ..PushAccounts::default() };
        let fault = some.open_apns().unwrap_err();
        assert!(fault.starts_with("push_apns_topic is set, and push_apns_key, push_apns_key_id"), "{fault}");
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("account.json");
        let fcm = PushAccounts { fcm: Some(Secret::File(path.clone())), ..PushAccounts::default() };
        let fault = || fcm.open_fcm().unwrap_err();
        assert!(fault().contains("push_fcm: ") && fault().contains("no such file"), "{}", fault());
        std::fs::write(&path, "{}").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(fault().contains("has mode 644; must be 600"), "{}", fault());
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        assert!(fault().contains("has no `project_id`"), "{}", fault());
    }
}
