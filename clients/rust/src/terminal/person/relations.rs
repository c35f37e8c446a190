//! Friends, blocks, and who may come near the person who types.

use protocol::UserId;

use super::show::printable;
use super::{Person, Trouble};
use crate::account::{Audience, Privacy, Standing};

impl Person {
    pub(super) async fn friends(&mut self) -> Result<(), Trouble> {
        let token = self.chat()?.client.token();
        let (mut after, mut is_empty) = (Some(UserId(0)), true);
        while let Some(from) = after {
            let (page, next) = self.start.account.friends(&token, from).await?;
            for friend in page {
                is_empty = false;
                let state = match friend.standing {
                    Standing::Friend => "",
                    Standing::Asked => " (asked)",
                    Standing::Asks => " (asks you; /friend says yes, /unfriend no)",
                };
                self.line(&format!("  {}{state}", printable(&friend.name)))?;
            }
            after = next;
        }
        if is_empty { Ok(self.say("Nobody yet. /friend NAME asks a person.")?) } else { Ok(()) }
    }

    pub(super) async fn relate(&mut self, word: &str, name: &str) -> Result<(), Trouble> {
        let other = self.user(name).await?;
        let (token, account, who) =
            (self.chat()?.client.token(), self.start.account.clone(), printable(name));
        let said = match word {
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
        };
        Ok(self.say(&said)?)
    }

    pub(super) async fn privacy(&mut self, rest: &str) -> Result<(), Trouble> {
        let (token, account) = (self.chat()?.client.token(), self.start.account.clone());
        let privacy = match rest.split_once(char::is_whitespace) {
            None if rest.is_empty() => account.privacy(&token).await?,
            Some((part, who)) => account.set_privacy(&token, wanted(part, who.trim())?).await?,
            None => return Err(usage()),
        };
        let word = |audience: Option<Audience>| audience.map_or("?", Audience::word);
        self.say(&format!(
            "Messages from {}, added to groups by {}, seen by {}.",
            word(privacy.message),
            word(privacy.add),
            word(privacy.see)
        ))?;
        Ok(())
    }
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
    Trouble::Said("/privacy message, add or see, and everyone, friends or nobody".into())
}
