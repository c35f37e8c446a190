//! Routes of both listeners, as their documents name them. Every row has a user of its own, who asks and is asked about; what is
//! named by id beside it is another user's.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Value, json};

use crate::node::{Node, admin};
use crate::people::PASSWORD;
use crate::raw::token_until;

/// With whose token: none, one that is none, one that has ended, one of a device that was logged out, one of a user; operators'
/// tokens by scope; a bot's token that may read.
const WHO: [&str; 9] =
    ["nobody", "garbage", "expired", "logged_out", "user", "metrics", "users", "all", "bot"];

/// `operationId`, of the admin listener behind a colon, and the status for each. They are asked in this order; what an
/// operator with `users` has done is not there for the one with `all`.
const ROUTES: &str = "
signUp                 201 201 201 201 201 201 201 201 201
logIn                  200 200 200 200 200 200 200 200 200
logInByJwt             403 403 403 403 403 403 403 403 403
renewTokens            401 401 401 401 401 401 401 401 401
changePassword         401 401 401 401 200 401 401 401 401
secondFactor           401 401 401 401 200 401 401 401 401
beginSecondFactor      401 401 401 401 200 401 401 401 401
confirmSecondFactor    401 401 401 401 409 401 401 401 401
renewRecoveryCodes     401 401 401 401 409 401 401 401 401
endSecondFactor        401 401 401 401 204 401 401 401 401
logOut                 401 401 401 401 204 401 401 401 401
logOutAll              401 401 401 401 200 401 401 401 401
listDevices            401 401 401 401 200 401 401 401 401
removeDevice           401 401 401 401 204 401 401 401 401
pushKey                401 401 401 401 200 401 401 401 401
listPushSubscriptions  401 401 401 401 200 401 401 401 401
subscribePush          401 401 401 401 204 401 401 401 401
unsubscribePush        401 401 401 401 204 401 401 401 401
turnPushOff            401 401 401 401 204 401 401 401 401
turnPushOn             401 401 401 401 204 401 401 401 401
findUserByName         401 401 401 401 200 401 401 401 200
findUser               401 401 401 401 200 401 401 401 200
listFriends            401 401 401 401 200 401 401 401 401
befriend               401 401 401 401 200 401 401 401 401
part                   401 401 401 401 204 401 401 401 401
listBlocks             401 401 401 401 200 401 401 401 401
block                  401 401 401 401 204 401 401 401 401
unblock                401 401 401 401 204 401 401 401 401
privacy                401 401 401 401 200 401 401 401 401
setPrivacy             401 401 401 401 200 401 401 401 401
sendToUser             401 401 401 401 201 401 401 401 403
listChannels           401 401 401 401 200 401 401 401 200
findChannel            401 401 401 401 200 401 401 401 404
listMembers            401 401 401 401 200 401 401 401 404
listMessages           401 401 401 401 200 401 401 401 404
edit                   401 401 401 401 200 401 401 401 403
recall                 401 401 401 401 200 401 401 401 403
react                  401 401 401 401 200 401 401 401 403
takeBackReaction       401 401 401 401 200 401 401 401 403
listThread             401 401 401 401 200 401 401 401 404
listAbout              401 401 401 401 200 401 401 401 404
listMentions           401 401 401 401 200 401 401 401 200
listReceipts           401 401 401 401 200 401 401 401 404
exportMe               401 401 401 401 200 401 401 401 401
seePresence            401 401 401 401 200 401 401 401 200
seeOwnPresence         401 401 401 401 200 401 401 401 200
setOwnPresence         401 401 401 401 204 401 401 401 403
markRead               401 401 401 401 204 401 401 401 403
send                   401 401 401 401 201 401 401 401 403
listRules              401 401 401 401 400 401 401 401 400
mute                   401 401 401 401 400 401 401 401 403
unmute                 401 401 401 401 400 401 401 401 403
ban                    401 401 401 401 400 401 401 401 403
unban                  401 401 401 401 400 401 401 401 403
slowDown               401 401 401 401 400 401 401 401 403
speedUp                401 401 401 401 400 401 401 401 403
report                 401 401 401 401 400 401 401 401 403
search                 401 401 401 401 200 401 401 401 200
poll                   401 401 401 401 400 401 401 401 401
endPoll                401 401 401 401 400 401 401 401 401
makeBot                401 401 401 401 201 401 401 401 401
listBots               401 401 401 401 200 401 401 401 401
endBot                 401 401 401 401 404 401 401 401 401
makeBotToken           401 401 401 401 404 401 401 401 401
listBotTokens          401 401 401 401 404 401 401 401 401
endBotToken            401 401 401 401 404 401 401 401 401
changeProfile          401 401 401 401 200 401 401 401 401
deleteAccount          401 401 401 401 204 401 401 401 401
findRoute              401 401 401 401 200 401 401 401 401
invite                 401 401 401 401 403 401 401 401 401
listInvites            401 401 401 401 200 401 401 401 401
revokeInvite           401 401 401 401 204 401 401 401 401
health                 200 200 200 200 200 200 200 200 200
readiness              200 200 200 200 200 200 200 200 200
document               200 200 200 200 200 200 200 200 200
page                   200 200 200 200 200 200 200 200 200
pageScript             200 200 200 200 200 200 200 200 200
pageStyle              200 200 200 200 200 200 200 200 200
webApp                 200 200 200 200 200 200 200 200 200
webAppWorker           200 200 200 200 200 200 200 200 200
webAppFile             404 404 404 404 404 404 404 404 404
:makeBotAsOperator     401 401 401 401 401 403 201 201 401
:listAllBots           401 401 401 401 401 403 200 200 401
:makeAnyBotToken       401 401 401 401 401 403 201 201 401
:listAnyBotTokens      401 401 401 401 401 403 200 200 401
:endAnyBotToken        401 401 401 401 401 403 204 204 401
:endAnyBot             401 401 401 401 401 403 204 404 401
:makeInvites           401 401 401 401 401 403 201 201 401
:listAllInvites        401 401 401 401 401 403 200 200 401
:revokeAnyInvite       401 401 401 401 401 403 204 204 401
:makeUsers             401 401 401 401 401 403 201 201 401
:listUsers             401 401 401 401 401 403 200 200 401
:seeUser               401 401 401 401 401 403 200 200 401
:seeUserByName         401 401 401 401 401 403 200 200 401
:setQuota              401 401 401 401 401 403 200 200 401
:seeUserChannels       401 401 401 401 401 403 200 200 401
:seeChannel            401 401 401 401 401 403 200 200 401
:traceMessage          401 401 401 401 401 403 200 200 401
:listEdits             401 401 401 401 401 403 403 403 401
:listReports           401 401 401 401 401 403 200 200 401
:closeReport           401 401 401 401 401 403 404 404 401
:makeToken             401 401 401 401 401 403 201 201 401
:revokeDevices         401 401 401 401 401 403 204 204 401
:resetPassword         401 401 401 401 401 403 204 204 401
:endSecondFactorOf     401 401 401 401 401 403 204 204 401
:beginBackup           401 401 401 401 401 403 403 400 401
:listParkedPushes      401 401 401 401 401 403 200 200 401
:testPush              401 401 401 401 401 403 200 200 401
:lastBackup            401 401 401 401 401 403 403 200 401
:listKeys              401 401 401 401 401 403 403 200 401
:rotateKeys            401 401 401 401 401 403 403 204 401
:retireKey             401 401 401 401 401 403 403 204 401
:searchIndex           401 401 401 401 401 403 403 200 401
:rebuildSearch         401 401 401 401 401 403 403 204 401
:listFamilies          401 401 401 401 401 403 403 200 401
:giveFamily            401 401 401 401 401 403 403 404 401
:returnFamily          401 401 401 401 401 403 403 409 401
:purgeChannel          401 401 401 401 401 403 403 200 401
:seeRetention          401 401 401 401 401 403 403 200 401
:setRetention          401 401 401 401 401 403 403 200 401
:beginErasure          401 401 401 401 401 403 403 400 401
:listErasures          401 401 401 401 401 403 403 200 401
:exportUser            401 401 401 401 401 403 403 200 401
:exportChannel         401 401 401 401 401 403 403 200 401
:drain                 401 401 401 401 401 403 403 -   401
:deleteUser            401 401 401 401 401 403 204 404 401
:metrics               200 200 200 200 200 200 200 200 200
:health                200 200 200 200 200 200 200 200 200
:readiness             200 200 200 200 200 200 200 200 200
:document              200 200 200 200 200 200 200 200 200
:page                  200 200 200 200 200 200 200 200 200
:pageScript            200 200 200 200 200 200 200 200 200
:pageStyle             200 200 200 200 200 200 200 200 200
";

/// One method at one path of one listener.
struct Operation {
    is_admin: bool,
    method: String,
    path: String,
    value: Value,
}

/// Who asks in a row, and whom everything is about.
struct Person {
    name: String,
    user: u64,
    device: u64,
    token: String,
}

struct Place {
    node: Node,
    scopes: [(&'static str, String); 3],
    /// Another user, of whom nothing may change.
    other: Person,
    /// Its bot, and the bot's token.
    bot: String,
    bot_token: String,
    keys: AtomicU64,
}

fn json_of(answer: &str) -> Value {
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    serde_json::from_str(body).unwrap_or_default()
}

fn status_of(answer: &str) -> u16 {
    answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default()
}

impl Place {
    fn start() -> Self {
        let node = Node::start(1, &["--address-signups-per-h", "10000"]);
        let data = node.data.to_str().unwrap().to_owned();
        let scoped = |scope: &'static str| {
            let output = admin(&["tokens", "add", "--scope", scope, "--name", scope, "--data", &data]);
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            let said = String::from_utf8(output.stdout).unwrap();
            let token = said.split_whitespace().find(|word| word.len() >= 32).unwrap().to_owned();
            (scope, token)
        };
        let scopes = ["metrics", "users", "all"].map(scoped);
        let other = person(&node, "other");
        let made =
            node.ask("POST", "/v1/bots", &other.token, Some(r#"{"name":"otherbot","scopes":["read"]}"#));
        let text =
            |field: &str| json_of(&made)[field].as_str().unwrap_or_else(|| panic!("{made}")).to_owned();
        let (bot, bot_token) = (text("bot"), text("token"));
        Self { node, scopes, other, bot, bot_token, keys: AtomicU64::default() }
    }

    fn operations(&self) -> Vec<(String, Operation)> {
        let mut operations = Vec::new();
        for is_admin in [false, true] {
            let document = json_of(&self.ask(is_admin, "GET", "/v1/openapi.json", None, None));
            for (path, item) in document["paths"].as_object().unwrap() {
                for (method, value) in item.as_object().unwrap() {
                    let id = value["operationId"].as_str().unwrap();
                    let name = if is_admin { format!(":{id}") } else { id.to_owned() };
                    let (method, path, value) = (method.to_ascii_uppercase(), path.clone(), value.clone());
                    operations.push((name, Operation { is_admin, method, path, value }));
                }
            }
        }
        operations
    }

    fn ask(
        &self,
        is_admin: bool,
        method: &str,
        path: &str,
        token: Option<&str>,
        body: Option<&str>,
    ) -> String {
        let mut request = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n");
        if let Some(token) = token {
            write!(request, "Authorization: Bearer {token}\r\n").unwrap();
        }
        if method != "GET" {
            // Where a key is wanted each cell has its own: this is not about repeats.
            write!(request, "Idempotency-Key: {}\r\n", self.keys.fetch_add(1, Ordering::Relaxed)).unwrap();
        }
        if let Some(body) = body {
            let length = body.len();
            write!(request, "Content-Type: application/json\r\nContent-Length: {length}\r\n").unwrap();
        }
        write!(request, "\r\n{}", body.unwrap_or_default()).unwrap();
        if is_admin { self.node.admin_raw(&request) } else { self.node.http_raw(&request) }
    }

    /// The documented example, about the row's own user, and about another's devices and invites.
    fn answer(&self, operation: &Operation, own: &Person, who: &str, cell: usize) -> String {
        let other = &self.other;
        let (user, other_user) = (protocol::UserId(own.user), protocol::UserId(other.user));
        let direct = protocol::ChannelId::direct(user, other_user).to_string();
        let id = match operation.path.as_str() {
            path if path.contains("/devices/") => other.device.to_string(),
            path if path.contains("/bots/") => self.bot.clone(),
            path if path.contains("/channels/") => direct.clone(),
            _ => other.user.to_string(),
        };
        let path = operation
            .path
            .replace("{id}", &id)
            .replace("{name}", &other.name)
            .replace("{token}", "9")
            .replace("{provider}", "webpush")
            .replace("{channel}", &direct)
            .replace("{user}", &other.user.to_string())
            .replace("{seq}", "1");
        // What has to be in a query is there as the document has it.
        let parts = operation.value["parameters"].as_array().into_iter().flatten();
        let query = parts.filter(|part| part["in"] == "query" && part["required"] == true);
        let query: Vec<String> = query
            .map(|part| format!("{}={}", part["name"].as_str().unwrap(), part["example"].as_str().unwrap()))
            .collect();
        let path = if query.is_empty() { path } else { format!("{path}?{}", query.join("&")) };
        let mut body = operation.value["requestBody"]["content"]["application/json"]["example"].clone();
        if let Some(fields) = body.as_object_mut() {
            let is_new = operation.path == "/v1/signup" || operation.path.ends_with("/bots");
            let name = if is_new { format!("{}{cell}", own.name) } else { own.name.clone() };
            for (field, value) in
                [("name", name.as_str()), ("password", PASSWORD), ("old", PASSWORD), ("new", PASSWORD)]
            {
                if fields.contains_key(field) {
                    fields.insert(field.into(), value.into());
                }
            }
            for gone in ["invite", "device", "replace", "user", "code"] {
                if operation.path == "/v1/signup" || operation.path == "/v1/login" || gone == "user" {
                    fields.remove(gone);
                }
            }
        }
        let token = match who {
            "nobody" => None,
            "garbage" => Some("x".repeat(90)),
            "expired" => {
                let user = protocol::UserId(own.user);
                Some(token_until(&self.node, user, own.device, api::now_ms() - 1))
            }
            "logged_out" => {
                let gone = login(&self.node, &own.name);
                let answer = self.ask(false, "POST", "/v1/logout", Some(&gone.token), None);
                assert_eq!(status_of(&answer), 204, "{answer}");
                Some(gone.token)
            }
            "user" => Some(own.token.clone()),
            "bot" => Some(self.bot_token.clone()),
            scope => self.scopes.iter().find(|(of, _)| *of == scope).map(|(_, token)| token.clone()),
        };
        let text = (!body.is_null()).then(|| body.to_string());
        self.ask(operation.is_admin, &operation.method, &path, token.as_deref(), text.as_deref())
    }
}

fn login(node: &Node, name: &str) -> Person {
    let body = json!({ "name": name, "password": PASSWORD }).to_string();
    let answer = node.ask("POST", "/v1/login", "", Some(&body));
    let answer = json_of(&answer);
    let number = |field: &str| answer[field].as_str().unwrap_or_else(|| panic!("{answer}")).parse().unwrap();
    let token = answer["token"].as_str().unwrap().to_owned();
    Person { name: name.to_owned(), user: number("user"), device: number("device"), token }
}

fn person(node: &Node, name: &str) -> Person {
    let body = json!({ "name": name, "password": PASSWORD }).to_string();
    let answer = node.ask("POST", "/v1/signup", "", Some(&body));
    assert_eq!(status_of(&answer), 201, "{answer}");
    login(node, name)
}

#[test]
fn every_route_has_its_answer_for_everybody() {
    let place = Place::start();
    let operations = place.operations();
    let known: BTreeSet<&str> = operations.iter().map(|(name, _)| name.as_str()).collect();
    let rows: Vec<Vec<&str>> = ROUTES
        .lines()
        .filter(|line| !line.is_empty())
        .map(|line| line.split_whitespace().collect::<Vec<_>>())
        .collect();
    let named: BTreeSet<&str> = rows.iter().map(|row| row[0]).collect();
    assert_eq!(known, named, "the routes that there are, and the rows");
    // With a fresh token of its device: a row retires the key that signed the first.
    let devices = || {
        let wanted =
            json!({ "user": place.other.user.to_string(), "device": place.other.device.to_string() });
        let made = json_of(&place.node.operate("/v1/admin/token", &wanted.to_string()));
        json_of(&place.node.ask("GET", "/v1/devices", made["token"].as_str().unwrap(), None))["devices"]
            .clone()
    };
    let before = devices();
    let mut wrong = Vec::new();
    for (number, row) in rows.iter().enumerate() {
        assert_eq!(row.len(), WHO.len() + 1, "{row:?}");
        let operation = &operations.iter().find(|(name, _)| name == row[0]).unwrap().1;
        let own = person(&place.node, &format!("person{number}x"));
        if operation.path.contains("/channels/") || operation.path.contains("{channel}") {
            let path = format!("/v1/users/{}/messages", place.other.user);
            let answer = place.ask(false, "POST", &path, Some(&own.token), Some(r#"{"text":"first"}"#));
            assert_eq!(status_of(&answer), 201, "{answer}");
        }
        // What is not asked would end the node; families.rs asks it.
        let asked = WHO.iter().zip(&row[1..]).enumerate().filter(|(_, (_, wanted))| **wanted != "-");
        for (cell, (who, wanted)) in asked {
            let answer = place.answer(operation, &own, who, cell);
            let (status, value) = (status_of(&answer), json_of(&answer));
            let code = value["code"].as_str().unwrap_or_default();
            let is_right = match status {
                401 if row[0] == "renewTokens" => code == "unauthenticated",
                401 if *who == "expired" && !operation.is_admin => code == "expired",
                401 => code == "unauthenticated",
                403 => code == "scope" || ["invite", "logInByJwt", ":listEdits"].contains(&row[0]),
                _ => true,
            };
            if status.to_string() != **wanted || !is_right {
                wrong.push(format!("{} with {who}: {status} {code}, expected {wanted}", row[0]));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(before.is_array());
    assert_eq!(devices(), before, "nobody ended another's device, or used it");
}
