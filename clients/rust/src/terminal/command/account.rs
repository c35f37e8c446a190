//! Commands about the person: friends, blocks, who may come near, devices, the second factor.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use protocol::{DeviceId, UserId};

use super::{Desk, Done, Outcome, Trouble};
use crate::account::{Audience, Device, Privacy, Standing};
use crate::terminal::text::apart;

/// Pages of friends that are shown.
const FRIEND_PAGES_MAX: usize = 20;

impl Desk<'_> {
    pub(super) async fn friends(&mut self) -> Done {
        let token = self.client.token();
        let (mut after, mut lines) = (Some(UserId(0)), Vec::new());
        for _ in 0..FRIEND_PAGES_MAX {
            let Some(from) = after else { break };
            let (page, next) = self.account.friends(&token, from).await?;
            lines.extend(page.into_iter().map(|friend| {
                let state = match friend.standing {
                    Standing::Friend => "",
                    Standing::Asked => " (asked)",
                    Standing::Asks => " (asks you; /friend says yes, /unfriend no)",
                };
                format!("{}{state}", apart(&friend.name))
            }));
            after = next;
        }
        if lines.is_empty() {
            return Ok(Outcome::Said("Nobody yet. /friend NAME asks a person.".into()));
        }
        Ok(Outcome::Lines { title: "Friends".into(), lines })
    }

    pub(super) async fn relate(&mut self, word: &str, name: &str) -> Done {
        let other = self.user(name).await?;
        let (token, account, who) = (self.client.token(), self.account, apart(name));
        Ok(Outcome::Said(match word {
            "friend" => match account.befriend(&token, other).await? {
                Standing::Friend => format!("You and {who} are friends."),
                Standing::Asked | Standing::Asks => format!("{who} was asked."),
            },
            "unfriend" => {
                account.part(&token, other).await?;
                format!("You and {who} are no friends.")
            }
            _ => {
                let is_blocked = word == "block";
                account.set_blocked(&token, other, is_blocked).await?;
                let can = if is_blocked { "can no longer" } else { "can again" };
                format!("{who} {can} write to you or add you to groups.")
            }
        }))
    }

    pub(super) async fn privacy(&mut self, rest: &str) -> Done {
        let token = self.client.token();
        let privacy = match rest.split_once(char::is_whitespace) {
            None if rest.is_empty() => self.account.privacy(&token).await?,
            Some((part, who)) => self.account.set_privacy(&token, wanted(part, who.trim())?).await?,
            None => return Err(usage()),
        };
        let word = |audience: Option<Audience>| audience.map_or("?", Audience::word);
        Ok(Outcome::Said(format!(
            "Messages from {}, added to groups by {}, seen by {}.",
            word(privacy.message),
            word(privacy.add),
            word(privacy.see)
        )))
    }

    /// Whether others are shown how far the person has come, and the person is shown others.
    pub(super) async fn receipts(&mut self, rest: &str) -> Done {
        let token = self.client.token();
        let wanted = match rest {
            "" => None,
            "on" => Some(Audience::Everyone),
            "off" => Some(Audience::Nobody),
            _ => return Err(Trouble::said("/receipts, /receipts on or /receipts off")),
        };
        let privacy = match wanted {
            None => self.account.privacy(&token).await?,
            receipts => self.account.set_privacy(&token, Privacy { receipts, ..Privacy::default() }).await?,
        };
        Ok(Outcome::Said(match privacy.receipts {
            Some(Audience::Nobody) => {
                "Nobody sees from now on what you have read, and you see of nobody.".into()
            }
            _ => "Others see what you have read, and you see it of them.".into(),
        }))
    }

    /// The list, or one of it less: by its number there.
    pub(super) async fn devices(&mut self, rest: &str) -> Done {
        let token = self.client.token();
        let devices = self.account.devices(&token).await?;
        let usage = || Trouble::said("/devices, or /devices remove NUMBER");
        match rest.split_once(char::is_whitespace).unwrap_or((rest, "")) {
            ("", _) => Ok(Outcome::Lines {
                title: "Devices".into(),
                lines: devices.iter().zip(1..).map(|(device, number)| line(device, number)).collect(),
            }),
            ("remove", number) => {
                let number = number.trim();
                let device = chosen(&devices, number).ok_or_else(usage)?;
                if device.is_this {
                    return Err(Trouble::said("that is this device; /logout ends it"));
                }
                self.account.remove_device(&token, device.device).await?;
                let name = apart(&device.name);
                Ok(Outcome::Said(format!("Device {number} ({name}) is logged out and gone.")))
            }
            _ => Err(usage()),
        }
    }

    pub(super) async fn log_out(&mut self) -> Done {
        self.account.logout(&self.client.token()).await?;
        Ok(Outcome::LoggedOut)
    }

    pub(super) async fn two_factor(&mut self, rest: &str) -> Done {
        let token = self.client.token();
        let password = self.password.ok_or_else(|| {
            Trouble::said(
                "this needs your password, which was not typed in this run: say /login first in `maru chat --plain`, which asks for it",
            )
        });
        match rest.split_once(char::is_whitespace).unwrap_or((rest, "")) {
            ("on", "") => {
                let made = self.account.begin_two_factor(&token, password?).await?;
                Ok(Outcome::Secret(vec![
                    format!("Give your authenticator app this key: {}", apart(&made.secret)),
                    format!("or this address, as a QR code: {}", apart(&made.uri)),
                ]))
            }
            ("code", code) if !code.is_empty() => {
                let codes = self.account.confirm_two_factor(&token, code.trim()).await?;
                let title =
                    "It is on. Each of these codes logs you in once without the app; keep them elsewhere";
                let lines = codes.iter().map(|code| apart(code)).collect();
                Ok(Outcome::Lines { title: title.into(), lines })
            }
            ("off", code) if !code.is_empty() => {
                self.account.two_factor_off(&token, password?, code.trim()).await?;
                Ok(Outcome::Said("A login asks for the password alone.".into()))
            }
            _ => Err(Trouble::said("/twofactor on, or /twofactor off CODE")),
        }
    }
}

/// By the number in the list, or by the id.
fn chosen<'a>(devices: &'a [Device], said: &str) -> Option<&'a Device> {
    let number: u64 = said.parse().ok()?;
    let by_place = usize::try_from(number).ok().and_then(|number| devices.get(number.checked_sub(1)?));
    by_place.or_else(|| devices.iter().find(|device| device.device == DeviceId(number)))
}

fn line(device: &Device, number: usize) -> String {
    let name = if device.name.is_empty() { "without a name".to_owned() } else { apart(&device.name) };
    let seen = i64::try_from(device.seen_ms).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok());
    let seen = seen.map(|at| at.to_zoned(TimeZone::system()).strftime("%Y-%m-%d %H:00").to_string());
    let this = if device.is_this { ", this one" } else { "" };
    format!("{number}. {name}, last seen {}{this}", seen.as_deref().unwrap_or("never"))
}

fn wanted(part: &str, who: &str) -> Result<Privacy, Trouble> {
    let audience = Some(Audience::from_word(who).ok_or_else(usage)?);
    let none = Privacy::default();
    Ok(match part {
        "message" => Privacy { message: audience, ..none },
        "add" => Privacy { add: audience, ..none },
        "see" => Privacy { see: audience, ..none },
        _ => return Err(usage()),
    })
}

fn usage() -> Trouble {
    Trouble::said("/privacy message, add or see, and everyone, friends or nobody")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_is_chosen_by_its_place_or_its_id() {
        let one = |id, is_this| Device { device: DeviceId(id), name: "a\nb".into(), seen_ms: 0, is_this };
        let devices = [one(700, true), one(701, false)];
        for (said, found) in
            [("1", Some(700)), ("2", Some(701)), ("701", Some(701)), ("0", None), ("3", None), ("x", None)]
        {
            assert_eq!(chosen(&devices, said).map(|device| device.device.0), found, "{said}");
        }
        assert!(!line(&devices[0], 1).contains('\n'));
    }
}
