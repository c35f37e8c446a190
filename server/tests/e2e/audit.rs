//! Who did what is in the log, and no secret, code or message is: a day of many people is lived through at the most talkative
//! level, everything secret of it is collected, and the whole log is searched for each.

use protocol::ChannelId;
use serde_json::Value;

use crate::node::{Node, admin};
use crate::people::{Device, PASSWORD, until};

/// The answer's body.
fn body(answer: &str) -> Value {
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {answer}"))
}

fn word(value: &Value, key: &str) -> String {
    value[key].as_str().unwrap_or_else(|| panic!("{key} in {value}")).to_owned()
}

/// An authenticator app (RFC 6238), of the step that is now.
fn code(secret: &str, ahead: u64) -> String {
    let mut bits = String::new();
    for letter in secret.bytes() {
        let value = if letter.is_ascii_uppercase() { letter - b'A' } else { letter - b'2' + 26 };
        bits += &format!("{value:05b}");
    }
    let bytes = bits.as_bytes().chunks_exact(8).map(|bits| std::str::from_utf8(bits).unwrap());
    let key: Vec<u8> = bytes.map(|bits| u8::from_str_radix(bits, 2).unwrap()).collect();
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &key);
    let step = api::now_ms() / 30_000 + ahead;
    let hash = ring::hmac::sign(&key, &step.to_be_bytes());
    let hash = hash.as_ref();
    let at = usize::from(hash[19] & 15);
    let number = u32::from_be_bytes(hash[at..at + 4].try_into().unwrap()) & 0x7fff_ffff;
    format!("{:06}", number % 1_000_000)
}

/// Where a secret stands in the log: as a word of its own, for a code of six digits is part of many numbers. The time of a
/// line is none of its words.
fn found<'a>(log: &'a [String], secret: &str) -> Option<&'a String> {
    log.iter().find(|line| {
        let line = line.split_once(' ').map_or(line.as_str(), |(_, rest)| rest);
        line.match_indices(secret).any(|(at, _)| {
            let before = line[..at].chars().next_back();
            let after = line[at + secret.len()..].chars().next();
            [before, after].into_iter().flatten().all(|char| !char.is_ascii_alphanumeric())
        })
    })
}

/// What was secret on that day, and what the audit has to tell, in order.
#[derive(Default)]
struct Day {
    secrets: Vec<String>,
    told: Vec<(&'static str, &'static str)>,
}

impl Day {
    fn keep(&mut self, secret: impl Into<String>) -> String {
        let secret = secret.into();
        assert!(secret.len() >= 6, "{secret:?} would be found anywhere");
        self.secrets.push(secret.clone());
        secret
    }

    /// A request, and what the audit tells of it.
    fn asks(
        &mut self,
        node: &Node,
        (method, path): (&str, &str),
        token: &str,
        json: Option<Value>,
        told: (&'static str, &'static str),
    ) -> String {
        let json = json.map(|json| json.to_string());
        let answer = if path.starts_with("/v1/admin") {
            node.ask_admin(method, path, token, json.as_deref())
        } else {
            node.ask(method, path, token, json.as_deref())
        };
        self.told.push(told);
        answer
    }

    /// Both tokens of a login.
    fn tokens(&mut self, answer: &str) -> (String, String) {
        let answer = body(answer);
        (self.keep(word(&answer, "token")), self.keep(word(&answer, "refresh")))
    }

    async fn of_a_person(&mut self, node: &Node) {
        let (old, new) = (self.keep("nobody guesses this one"), self.keep("nor the other one either"));
        let account = serde_json::json!({ "name": "alice", "password": old });
        let login = || serde_json::json!({ "name": "alice", "password": old });
        self.asks(node, ("POST", "/v1/signup"), "x", Some(account.clone()), ("signup", "ok"));
        self.asks(node, ("POST", "/v1/signup"), "x", Some(account), ("signup", "name_taken"));
        let wrong = self.keep("a guess that is wrong");
        let wrong = serde_json::json!({ "name": "alice", "password": wrong });
        self.asks(node, ("POST", "/v1/login"), "x", Some(wrong), ("login", "wrong_credentials"));
        // People type their password where the name belongs.
        let slip = self.keep("typed-into-the-name");
        let slip = serde_json::json!({ "name": slip, "password": slip });
        self.asks(node, ("POST", "/v1/login"), "x", Some(slip), ("login", "wrong_credentials"));
        let answer = self.asks(node, ("POST", "/v1/login"), "x", Some(login()), ("login", "ok"));
        let (token, refresh) = self.tokens(&answer);
        let renew = serde_json::json!({ "refresh": refresh });
        let path = ("POST", "/v1/token");
        let renewed = node.ask(path.0, path.1, "x", Some(&renew.to_string()));
        let (_, next) = self.tokens(&renewed);
        let again = serde_json::json!({ "refresh": next });
        let (_, _) = self.tokens(&node.ask(path.0, path.1, "x", Some(&again.to_string())));
        self.asks(node, path, "x", Some(renew), ("renew", "token_reused"));
        self.asks(node, ("POST", "/v1/logout"), &token, None, ("logout", "unauthenticated"));

        let answer = self.asks(node, ("POST", "/v1/login"), "x", Some(login()), ("login", "ok"));
        let (token, _) = self.tokens(&answer);
        let change = serde_json::json!({ "old": old, "new": new });
        let answer = self.asks(node, ("POST", "/v1/password"), &token, Some(change), ("password", "ok"));
        let (token, _) = self.tokens(&answer);
        let begin = serde_json::json!({ "password": new });
        let path = ("POST", "/v1/two-factor");
        let answer = self.asks(node, path, &token, Some(begin), ("two_factor_begin", "ok"));
        let secret = self.keep(word(&body(&answer), "secret"));
        let shown = self.keep(code(&secret, 0));
        let confirm = serde_json::json!({ "code": shown });
        let path = ("POST", "/v1/two-factor/confirm");
        let answer = self.asks(node, path, &token, Some(confirm), ("two_factor_on", "ok"));
        let codes: Vec<String> = serde_json::from_value(body(&answer)["recovery_codes"].clone()).unwrap();
        codes.iter().for_each(|code| drop(self.keep(code)));
        let login = serde_json::json!({ "name": "alice", "password": new });
        self.asks(node, ("POST", "/v1/login"), "x", Some(login), ("login", "code_required"));
        let login = serde_json::json!({ "name": "alice", "password": new, "code": codes[0] });
        let answer = self.asks(node, ("POST", "/v1/login"), "x", Some(login), ("login", "ok"));
        let (token, _) = self.tokens(&answer);
        let off = serde_json::json!({ "password": new, "code": codes[1] });
        let path = ("POST", "/v1/two-factor/off");
        self.asks(node, path, &token, Some(off), ("two_factor_off", "ok"));

        let made = serde_json::json!({ "name": "helper-of-alice" });
        let answer = self.asks(node, ("POST", "/v1/bots"), &token, Some(made), ("bot_make", "ok"));
        let bot = body(&answer);
        let (id, bot_token) = (word(&bot, "bot"), self.keep(word(&bot, "token")));
        let text = self.keep("what a bot has to say");
        let say = serde_json::json!({ "text": text });
        node.ask("POST", &format!("/v1/users/{id}/messages"), &bot_token, Some(&say.to_string()));
        let path = format!("/v1/bots/{id}");
        self.asks(node, ("DELETE", &path), &token, None, ("bot_end", "ok"));
        let erase = serde_json::json!({ "password": new });
        let path = ("POST", "/v1/account/delete");
        self.asks(node, path, &token, Some(erase), ("account_erase", "ok"));
    }

    fn of_an_operator(&mut self, node: &Node) {
        let all = self.keep(node.admin_token());
        let data = node.data.to_str().unwrap();
        let made = admin(&["tokens", "add", "--data", data, "--scope", "users", "--name", "support desk"]);
        let desk = self.keep(String::from_utf8(made.stdout).unwrap().trim());
        let wrong = self.keep("00ff".repeat(16));
        let invites = serde_json::json!({ "count": 1 });
        let path = ("POST", "/v1/admin/invites");
        let answer = self.asks(node, path, &desk, Some(invites), ("admin_invite_make", "ok"));
        self.keep(word(&body(&answer)["invites"][0], "code"));
        let path = ("POST", "/v1/admin/keys/rotate");
        self.asks(node, path, &desk, None, ("admin_key_rotate", "scope"));
        self.asks(node, path, &wrong, None, ("admin_key_rotate", "unauthenticated"));
        self.asks(node, path, &all, None, ("admin_key_rotate", "ok"));
        let reset = self.keep("given by the operator");
        let reset = serde_json::json!({ "name": "bob", "password": reset });
        let path = ("POST", "/v1/admin/password");
        self.asks(node, path, &desk, Some(reset), ("admin_password", "ok"));
        let named = serde_json::json!({ "name": "bob" });
        let path = ("POST", "/v1/admin/token");
        let answer = self.asks(node, path, &desk, Some(named.clone()), ("admin_token_make", "ok"));
        self.keep(word(&body(&answer), "token"));
        let path = ("POST", "/v1/admin/revoke");
        self.asks(node, path, &desk, Some(named), ("admin_revoke", "ok"));
    }
}

#[tokio::test]
async fn the_log_tells_who_did_what_and_no_secret() {
    let mut node = Node::start(2, &["--log", "trace"]);
    let mut day = Day::default();
    day.keep(PASSWORD);
    let account = node.account();
    for name in ["ann", "bob"] {
        account.signup(name, PASSWORD).await.unwrap();
        day.told.push(("signup", "ok"));
    }
    let ann = Device::login(&account, "ann").await;
    let bob = Device::login(&account, "bob").await;
    day.told.extend([("login", "ok"); 2]);
    for device in [&ann, &bob] {
        day.keep(device.token());
    }
    let channel = ChannelId::direct(ann.user, bob.user);
    let text = day.keep("meet me where nobody listens");
    ann.say(channel, &text).await;
    until("bob has it", || bob.held.lock().unwrap().messages.contains_key(&channel)).await;
    day.of_a_person(&node).await;
    day.of_an_operator(&node);
    drop((ann, bob));
    assert_eq!(node.stop(), Some(0));

    let log = node.log();
    let told: Vec<&String> = log.iter().filter(|line| line.contains(" audit action=")).collect();
    let seen: Vec<(&str, &str)> =
        told.iter().map(|line| (field(line, "action"), field(line, "outcome"))).collect();
    assert_eq!(seen, day.told);
    assert!(told.iter().all(|line| field(line, "from") == "127.0.0.1"), "{told:#?}");
    let of = |action: &str, outcome: &str| {
        let is = |line: &&&String| field(line, "action") == action && field(line, "outcome") == outcome;
        told.iter().find(is).copied().unwrap()
    };
    assert!(of("login", "code_required").contains(" user="), "whose second factor it is");
    assert!(of("renew", "token_reused").contains(" ended="), "which device it ended");
    let refused = of("admin_key_rotate", "scope");
    for part in ["token=1 ", "token_name=\"support desk\"", "scope=\"users\""] {
        assert!(refused.contains(part), "{part} is not in {refused}");
    }
    assert!(of("admin_revoke", "ok").contains(" subject="));
    assert!(day.secrets.len() > 30, "{}", day.secrets.len());
    for secret in &day.secrets {
        assert_eq!(found(&log, secret), None, "{secret}");
    }
    assert!(found(&[format!("x y={} z", day.secrets[0])], &day.secrets[0]).is_some(), "they would be found");
}

/// A field of a line of text.
fn field<'a>(line: &'a str, key: &str) -> &'a str {
    let (_, rest) = line.split_once(&format!(" {key}=")).unwrap_or_else(|| panic!("{key} in {line}"));
    rest.split(' ').next().unwrap().trim_matches('"')
}

#[test]
fn the_audit_is_a_setting_of_its_own() {
    let asked = |args: &[&str]| {
        let mut node = Node::start(1, args);
        assert!(node.ask_admin("GET", "/v1/admin/keys", &node.admin_token(), None).contains(" 200 "));
        assert_eq!(node.stop(), Some(0));
        node.log()
    };
    let quiet = asked(&["--log", "off"]);
    assert!(quiet.len() == 1 && quiet[0].contains("admin_key_list"), "{quiet:?}");
    let silent = asked(&["--audit", "false"]);
    assert!(!silent.is_empty() && silent.iter().all(|line| !line.contains("admin_key_list")), "{silent:?}");
}
