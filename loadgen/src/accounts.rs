//! What the control plane is asked before a run: users, and the way to QUIC for each.

use std::path::Path;

use client::account::{Account, AccountError, Route};
use client::operator::Operator;
use client::trust::Trust;
use tokio::net::lookup_host;
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinSet;

use crate::wire::{Login, Road};

/// Requests at a time.
const ASKING_MAX: usize = 32;

/// Devices that one request makes; the server's bound is 5,000.
const MAKING_MAX: u32 = 2000;
/// Names of our users begin so, as those of `maru admin create-users`.
const PREFIX: &str = "load";

/// Makes users with so many devices each on a running server, or finds those that an earlier run made.
///
/// # Errors
/// Words: no answer, a wrong token, a server that cannot now.
pub(crate) fn make(
    admin: &str,
    trust: &Trust,
    token_file: &Path,
    users: u32,
    devices: u32,
) -> Result<Vec<Login>, String> {
    let name = token_file.display();
    let token =
        std::fs::read_to_string(token_file).map_err(|error| format!("--admin-token-file {name}: {error}"))?;
    let words =
        |fault: &dyn std::fmt::Display| format!("--admin {admin}, --admin-token-file {name}: {fault}");
    let operator = Operator::new(admin, &token, trust).map_err(|error| words(&error))?;
    let mut logins = Vec::new();
    let at_once = (MAKING_MAX / devices.max(1)).max(1);
    runtime()?.block_on(async {
        for first in (0..users).step_by(at_once as usize) {
            let count = at_once.min(users - first);
            let made = operator.make_users(PREFIX, first + 1, count, devices).await;
            let made = made.map_err(|error| words(&error))?;
            logins.extend(made.into_iter().map(|made| Login {
                user: made.user.0,
                token: made.token,
                road: None,
            }));
        }
        Ok(logins)
    })
}

/// Gives a share of the devices, spread evenly, their roads to QUIC. Returns the certificate's fingerprint.
///
/// # Errors
/// Words: no answer, a token that is no good, a server without QUIC.
pub(crate) fn find_roads(
    http: &str,
    trust: &Trust,
    logins: &mut [Login],
    share: f64,
) -> Result<Option<[u8; 32]>, String> {
    let words =
        |fault: &dyn std::fmt::Display| format!("--http {http}: {fault}; QUIC devices ask it for their way");
    let account = Account::with_trust(http, trust.clone()).map_err(|error| words(&error))?;
    let mut found = None;
    runtime()?.block_on(async {
        let mut asking = JoinSet::new();
        let mut places = (0..logins.len()).filter(|place| is_chosen(*place, share));
        loop {
            while asking.len() < ASKING_MAX
                && let Some(place) = places.next()
                && let Some(login) = logins.get(place)
            {
                let (account, token) = (account.clone(), login.token.clone());
                asking.spawn(async move { (place, road(&account, &token).await) });
            }
            let Some(answer) = asking.join_next().await else { return Ok(found) };
            let (place, road) = answer.map_err(|error| words(&error))?;
            let (road, fingerprint) = road.map_err(|fault| words(&fault))?;
            if found.replace(fingerprint).is_some_and(|before| before != fingerprint) {
                return Err(words(&"two certificates"));
            }
            if let Some(login) = logins.get_mut(place) {
                login.road = Some(road);
            }
        }
    })
}

/// Of 3 devices with a share of 2/3, the second and the third.
#[allow(clippy::cast_precision_loss)]
fn is_chosen(place: usize, share: f64) -> bool {
    // What a share of 2/3 lacks to 2 of 3 in binary.
    let before = |place: usize| (place as f64 * share + 1e-9).floor();
    before(place + 1) > before(place)
}

async fn road(account: &Account, token: &str) -> Result<(Road, [u8; 32]), String> {
    let Route { quic, shard, .. } =
        account.route(token).await.map_err(|error: AccountError| error.to_string())?;
    let quic = quic.ok_or("the server has no QUIC")?;
    let mut found = lookup_host(quic.address.as_str()).await.map_err(|error| error.to_string())?;
    let address = found.next().ok_or("there is no such host")?;
    Ok((Road { address, shard }, quic.fingerprint))
}

pub(crate) fn runtime() -> Result<Runtime, String> {
    Builder::new_current_thread().enable_all().build().map_err(|error| format!("tokio: {error}"))
}

#[cfg(test)]
mod tests {
    use super::is_chosen;

    #[test]
    fn a_share_is_spread_evenly() {
        for (share, count) in [(0.0, 0), (0.5, 150), (2.0 / 3.0, 200), (1.0, 300), (0.001, 0)] {
            let chosen: Vec<_> = (0..300).filter(|place| is_chosen(*place, share)).collect();
            assert_eq!(chosen.len(), count, "{share}");
            assert!(chosen.windows(2).all(|pair| pair[1] - pair[0] <= 2), "{share}");
        }
    }
}
