use super::*;
use crate::config::Pin;

fn pairs(items: &[(&str, &str)]) -> Vec<(String, String)> {
    items.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

/// Loads with a file of this text.
fn load_all(
    flags: &[(&str, &str)],
    environment: &[(&str, &str)],
    file: Option<&str>,
) -> Result<Config, ConfigError> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("maru.toml");
    if let Some(text) = file {
        std::fs::write(&path, text).unwrap();
    }
    load(&pairs(flags), pairs(environment), file.map(|_| path.as_path()))
}

#[test]
fn flags_over_environment_over_file_over_defaults() {
    let file = Some("group_members = 50\n");
    let variable = [("MARU_GROUP_MEMBERS", "60"), ("HOME", "/nowhere")];
    let flag = [("group_members", "70")];
    let members = |flags, environment, file| load_all(flags, environment, file).unwrap().limits.group_members;
    assert_eq!(members(&[], &[], None), 100);
    assert_eq!(members(&[], &[], file), 50);
    assert_eq!(members(&[], &variable, file), 60);
    assert_eq!(members(&flag, &variable, file), 70);
    assert_eq!(members(&flag, &[], file), 70);
}

#[test]
fn the_file_may_be_named_by_a_variable_and_the_flag_wins() {
    let dir = tempfile::tempdir().unwrap();
    let (one, two) = (dir.path().join("one.toml"), dir.path().join("two.toml"));
    std::fs::write(&one, "readers = 3").unwrap();
    std::fs::write(&two, "readers = 4").unwrap();
    let variable = || vec![("MARU_CONFIG".to_owned(), one.display().to_string())];
    assert_eq!(load(&[], variable(), None).unwrap().readers, 3);
    assert_eq!(load(&[], variable(), Some(&two)).unwrap().readers, 4);
}

/// Of each setting good values at both ends of its bounds, and some beyond each end.
const BOUNDS: &[(&str, &[&str], &[&str])] = &[
    ("data", &["x", "/a b/c"], &[""]),
    (
        "database",
        &["sqlite", "postgres://maru:secret@db/maru", "postgresql://h/n"],
        &["", "mysql://h/n", "postgres://h"],
    ),
    ("http", &["0.0.0.0:0", "[::1]:65535"], &["localhost:80", "80", ":80", "1.2.3.4", "1.2.3.4:65536"]),
    ("admin_listen", &["auto", "127.0.0.1:0", "[::1]:9"], &["", "off", "8082"]),
    ("listen", &["0.0.0.0:0", "[::]:1"], &["x", "", "1.2.3.4:-1"]),
    ("quic", &["auto", "off", "[::]:0"], &["on", "", "1.2.3.4"]),
    ("quic_steering", &["auto", "ports"], &["bpf", "", "off"]),
    ("tls", &["auto", "on", "off"], &["true", "", "On"]),
    ("insecure", &["true", "false"], &["yes", "", "1"]),
    ("tls_cert", &["auto", "a.pem"], &[""]),
    ("tls_key", &["auto", "a.pem"], &[""]),
    ("chat_url", &["ws://h/ws", "wss://h/ws", "auto"], &["http://h", "", "h:80"]),
    ("trusted_proxies", &["none", "127.0.0.1", "10.0.0.0/8, ::1"], &["", "localhost", "10.0.0.1/8", "all"]),
    ("proxy_header", &["x-forwarded-for", "forwarded"], &["", "X-Real-IP"]),
    ("proxy_protocol", &["on", "off"], &["", "v2", "true"]),
    ("allowed_hosts", &["auto", "chat.example.org", "a,b"], &["", "a:80", "https://a", "*"]),
    ("allowed_origins", &["none", "*", "https://a.example:8443"], &["", "a.example", "https://a/"]),
    ("hsts_s", &["0", "63072000"], &["-1", "63072001", ""]),
    ("metrics_token", &["auto", "always"], &["never", ""]),
    ("http_connections", &["8", "16384"], &["7", "16385"]),
    ("address_http_connections", &["8", "16384"], &["7", "16385"]),
    ("guess_refill_ms", &["100", "3600000"], &["99", "3600001"]),
    ("address_signups_per_h", &["1", "1000000"], &["0", "1000001"]),
    ("signups_per_h", &["1", "1000000"], &["0", "1000001"]),
    ("user_lookups_per_h", &["1", "1000000"], &["0", "1000001"]),
    ("issuer_users_per_h", &["1", "1000000"], &["0", "1000001"]),
    ("shards", &["1", "64", "auto"], &["0", "65", "-1", "1.5", "two"]),
    ("io", &["epoll", "uring", "auto"], &["", "mio", "io_uring"]),
    ("store", &["rocks", "memory"], &["disk", "Memory", ""]),
    ("pin", &["auto", "off", "0", "3,1"], &["on", "1,x", ""]),
    ("watchdog_ms", &["1000", "600000"], &["999", "600001", "10s"]),
    ("connections", &["16", "64000000", "auto"], &["15", "64000001", ""]),
    ("readers", &["1", "64"], &["0", "65"]),
    ("group_members", &["2", "500"], &["1", "501"]),
    ("large_channel_members", &["0", "1000000"], &["-1", "1000001", "auto", ""]),
    ("frames_per_s", &["1", "1000000"], &["0", "1000001"]),
    ("frames_burst", &["1", "1000000"], &["0", "1000001"]),
    ("user_frames_per_s", &["1", "4000000", "auto"], &["0", "4000001"]),
    ("user_frames_burst", &["1", "4000000", "auto"], &["0", "4000001"]),
    ("user_groups_per_h", &["0", "1000000"], &["-1", "1000001"]),
    ("user_directs_per_h", &["0", "1000000"], &["-1", "1000001"]),
    ("user_mib_per_h", &["0", "4095"], &["-1", "4096"]),
    ("recall_window_s", &["0", "315360000"], &["-1", "315360001", "1d"]),
    ("show_edits", &["true", "false"], &["", "yes", "1"]),
    ("retention_days", &["0", "36500"], &["-1", "36501", "1d"]),
    ("retention_messages", &["0", "1000000000000"], &["-1", "1000000000001", "all"]),
    ("erase_history", &["keep", "erase"], &["", "Keep", "true"]),
    ("presence_grace_ms", &["0", "600000"], &["-1", "600001", "30s"]),
    ("presence_bytes_per_s", &["256", "1000000"], &["255", "1000001", "1KiB"]),
    ("waiting_mib", &["16", "1048576", "auto"], &["15", "1048577"]),
    ("heartbeat_ms", &["1000", "600000"], &["999", "600001", "30s"]),
    ("egress_bytes", &["1048576", "67108864"], &["1048575", "67108865", "1MiB"]),
    ("stalled_ms", &["1000", "600000"], &["999", "600001"]),
    ("idle_users", &["0", "10000000"], &["-1", "10000001"]),
    ("idle_channels", &["0", "10000000"], &["-1", "10000001"]),
    ("signup", &["open", "invite", "closed", "auto"], &["", "on", "Open"]),
    ("user_invites", &["0", "100"], &["-1", "101"]),
    ("issuers", &["none", "/etc/maru/issuers.toml"], &[""]),
    ("words", &["none", "/etc/maru/words"], &[""]),
    ("words_action", &["refuse", "report"], &["", "drop", "Refuse"]),
    (
        "push_contact",
        &["none", "mailto:ops@example.org", "https://example.org/x"],
        &["", "ops@example.org", "http://a"],
    ),
    ("push_allow", &["none", "127.0.0.1:9", "hooks.local, 10.0.0.1"], &["", "a,", "http://a"]),
    ("push_withdraw", &["true", "false"], &["", "yes", "1"]),
    ("push_fcm", &["none", "/etc/maru/fcm.json", "env:FCM_ACCOUNT"], &["", "env:", "env:MARU_X"]),
    (
        "push_fcm_url",
        &["https://fcm.googleapis.com", "http://127.0.0.1:9", "https://10.0.0.1:444"],
        &["", "fcm.googleapis.com", "http://fcm.googleapis.com", "none"],
    ),
    ("push_apns_key", &["none", "/etc/maru/key.p8", "env:APNS_KEY"], &["", "env:", "env:MARU_X"]),
    ("push_apns_key_id", &["none", "ABC123DEFG"], &["", "ABC123DEF", "ABC123DEFGH", "ABC-123DEF"]),
    ("push_apns_team_id", &["none", "DEF123GHIJ"], &["", "DEF123GHI", "DEF123GHIJK"]),
    ("push_apns_topic", &["none", "org.example.maru-app"], &["", "a b", "a/b"]),
    (
        "push_apns_url",
        &["https://api.sandbox.push.apple.com", "http://localhost:9"],
        &["", "api.push.apple.com", "http://api.push.apple.com", "none"],
    ),
    ("user_bots", &["0", "1000"], &["-1", "1001"]),
    ("bot_tokens", &["1", "16"], &["0", "17"]),
    ("token_s", &["10", "31536000"], &["9", "31536001", "18446744073709551616"]),
    ("refresh_s", &["60", "315360000"], &["59", "315360001"]),
    ("login_s", &["60", "315360000"], &["59", "315360001"]),
    ("hello_timeout_ms", &["100", "600000"], &["99", "600001"]),
    ("space_reserve_mib", &["16", "1048576", "auto"], &["15", "1048577"]),
    ("cache_mib", &["8", "1048576"], &["7", "1048577"]),
    ("memtable_mib", &["8", "1048576"], &["7", "1048577"]),
    ("wal_mib", &["8", "1048576"], &["7", "1048577"]),
    ("own_family_messages", &["1", "1000000000000", "none"], &["0", "1000000000001", "auto"]),
    ("search", &["true", "false"], &["on", "", "auto"]),
    ("log", &["off", "trace"], &["loud", "INFO", "5", ""]),
    ("log_format", &["text", "json"], &["", "logfmt", "JSON"]),
    ("audit", &["true", "false"], &["", "yes", "1"]),
    (
        "trace_endpoint",
        &["none", "http://127.0.0.1:4318", "http://c/v1/traces"],
        &["", "https://c", "c:4318"],
    ),
    ("trace_sample", &["64", "1073741824"], &["0", "32", "65", "1073741888"]),
    ("core_dumps", &["true", "false"], &["", "off", "0"]),
];

#[test]
fn every_setting_has_its_bounds() {
    let named: Vec<&str> = BOUNDS.iter().map(|(name, ..)| *name).collect();
    let all: Vec<&str> = SETTINGS.iter().map(|setting| setting.name).collect();
    assert_eq!(named, all, "a setting without a test");
    for (name, good, bad) in BOUNDS {
        for value in *good {
            assert!(load_all(&[(name, value)], &[], None).is_ok(), "{name} {value}");
        }
        for value in *bad {
            let refused = load_all(&[(name, value)], &[], None).unwrap_err();
            let ConfigError::Value { key, found, allowed, .. } = refused else { panic!("{refused}") };
            let shown = if *name == SECRET { HIDDEN } else { value };
            assert_eq!((key, found.as_str()), (format!("--{}", name.replace('_', "-")), shown));
            assert!(!allowed.is_empty());
        }
    }
}

#[test]
fn a_refusal_names_key_place_found_and_allowed() {
    let words = |flags, environment, file| load_all(flags, environment, file).unwrap_err().to_string();
    assert_eq!(
        words(&[("group_members", "501")], &[], None),
        "--group-members (in the command line) is \"501\"; must be 2 to 500"
    );
    assert_eq!(
        words(&[], &[("MARU_SHARD", "2")], None),
        "MARU_SHARD (in the environment) is not a setting; did you mean MARU_SHARDS?"
    );
    let far = words(&[], &[("MARU_COLOUR", "blue")], None);
    assert!(far.contains("the settings are MARU_DATA, MARU_DATABASE"), "{far}");
    let file = words(&[], &[], Some("group_members = 501\n"));
    assert!(file.contains("maru.toml) is \"501\"; must be 2 to 500"), "{file}");
    let file = words(&[], &[], Some("group_member = 50\n"));
    assert!(file.contains("did you mean group_members?"), "{file}");
    // Also below a layer that is right.
    let hidden = words(&[("group_members", "50")], &[("MARU_GROUP_MEMBERS", "many")], None);
    assert!(hidden.contains("MARU_GROUP_MEMBERS") && hidden.contains("many"), "{hidden}");
}

#[test]
fn a_password_is_never_shown() {
    let bad = "postgres://maru:sesame@db/maru?sslmod=require";
    for words in [
        load_all(&[("database", bad)], &[], None).unwrap_err().to_string(),
        load_all(&[], &[("MARU_DATABASE", bad)], None).unwrap_err().to_string(),
        load_all(&[], &[], Some(&format!("database = \"{bad}\"\n"))).unwrap_err().to_string(),
        load_all(&[], &[], Some(&format!("\ndatabase = {bad}\n"))).unwrap_err().to_string(),
        load_all(&[], &[], Some(&format!("databas = \"{bad}\"\n"))).unwrap_err().to_string(),
        format!("{:?}", load_all(&[("database", "postgres://maru:sesame@db/maru")], &[], None).unwrap()),
    ] {
        assert!(!words.contains("sesame"), "{words}");
    }
    let file = load_all(&[], &[], Some("\ndatabase = postgres://\n")).unwrap_err().to_string();
    assert!(file.contains("line 2"), "{file}");
}

#[test]
fn files_that_are_none() {
    let words = |text| load_all(&[], &[], Some(text)).unwrap_err().to_string();
    assert!(words("group_members 50").contains("maru.toml"));
    assert!(words("a = 1\na = 2").contains("duplicate"), "{}", words("a = 1\na = 2"));
    assert!(words("[server]\nshards = 1").contains("server (in"));
    assert!(words("shards = [1]").contains("\"[1]\"; must be 1 to 64"));
    assert!(words("shards = true").contains("\"true\"; must be"));
    let missing = load(&[], [], Some(Path::new("/nonexistent/maru.toml"))).unwrap_err();
    assert!(missing.to_string().contains("/nonexistent/maru.toml"), "{missing}");
}

/// All that Kubernetes sets in a container beside a Service with two named ports, and Docker for a link.
fn of_a_service(name: &str) -> Vec<(String, String)> {
    let set = [
        ("SERVICE_HOST", "10.96.3.7"),
        ("SERVICE_PORT", "8080"),
        ("SERVICE_PORT_HTTP", "8080"),
        ("SERVICE_PORT_CHAT_WS", "8081"),
        ("PORT", "tcp://10.96.3.7:8080"),
        ("PORT_8080_TCP", "tcp://10.96.3.7:8080"),
        ("PORT_8080_TCP_PROTO", "tcp"),
        ("PORT_8080_TCP_PORT", "8080"),
        ("PORT_8080_TCP_ADDR", "10.96.3.7"),
        ("PORT_8081_UDP", "udp://10.96.3.7:8081"),
        ("PORT_8081_UDP_PROTO", "udp"),
        ("PORT_8081_UDP_PORT", "8081"),
        ("PORT_8081_UDP_ADDR", "10.96.3.7"),
        ("NAME", "/web/maru"),
        ("ENV_PATH", "/bin"),
    ];
    set.iter().map(|(end, value)| (format!("{name}_{end}"), (*value).to_owned())).collect()
}

#[test]
fn variables_of_others_are_left_alone() {
    for name in ["MARU", "MARU_CHAT", "MARU_HTTP", "MARU_ADMIN_LISTEN"] {
        load(&[], of_a_service(name), None).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
    assert!(load_all(&[], &[("MARU_PASSWORD_ANN", "x")], None).is_ok());
}

#[test]
fn what_only_looks_like_theirs_is_refused() {
    for (key, value) in [
        ("MARU_PORT", "8080"),
        ("MARU_HTTP_PORT", "8080"),
        ("MARU_PORT_X_TCP", "8080"),
        ("MARU_PORT_8080_TCP_HOST", "x"),
        ("MARU_NAME", "x"),
        ("MARU_SERVICE", "x"),
    ] {
        let error = load_all(&[], &[(key, value)], None).unwrap_err();
        assert!(matches!(error, ConfigError::Key { .. }), "{key}: {error}");
    }
}

#[test]
fn a_setting_that_a_service_has_set_says_so() {
    // A Service of the name maru-listen would be no matter; one whose NAME_PORT is a setting would be.
    for key in ["MARU_LISTEN", "MARU_DATA"] {
        let words = load_all(&[], &[(key, "tcp://10.0.0.1:80")], None).unwrap_err().to_string();
        for part in [key, "tcp://10.0.0.1:80", "enableServiceLinks", "rename the service"] {
            assert!(words.contains(part), "{part} is not in {words}");
        }
    }
}

#[test]
fn values_arrive() {
    let file =
        "data = \"/d\"\nshards = 3\npin = \"0,1\"\ntoken_s = 60\nspace_reserve_mib = 16\nlog = \"warn\"";
    let config =
        load_all(&[("http", "127.0.0.1:0")], &[("MARU_CHAT_URL", "wss://c/ws")], Some(file)).unwrap();
    assert_eq!(config.data, PathBuf::from("/d"));
    assert_eq!(config.http.port(), 0);
    assert_eq!((config.shards, config.pin), (Some(3), Pin::Cores(vec![0, 1])));
    assert_eq!((config.token_ms, config.space_reserve_bytes), (60_000, Some(16 << 20)));
    assert_eq!(config.chat_url.as_deref(), Some("wss://c/ws"));
    assert_eq!(config.log, tracing::level_filters::LevelFilter::WARN);
}

#[test]
fn a_server_that_strangers_reach_is_closed_until_it_is_opened() {
    let signup = |set: &[(&str, &str)]| load_all(set, &[], None).unwrap().signup();
    assert_eq!(signup(&[]), api::Signup::Open);
    assert_eq!(signup(&[("http", "[::1]:1")]), api::Signup::Open);
    for everywhere in ["0.0.0.0:1", "[::]:1", "192.0.2.1:1"] {
        assert_eq!(signup(&[("http", everywhere)]), api::Signup::Closed);
        assert_eq!(signup(&[("http", everywhere), ("signup", "invite")]), api::Signup::Invite);
    }
}

#[test]
fn a_setting_of_an_earlier_version_says_what_became_of_it() {
    let refused = load(&[], [("MARU_STORES".to_owned(), "2".to_owned())], None).unwrap_err().to_string();
    assert!(refused.contains("MARU_STORES") && refused.contains("a node has one store"), "{refused}");
}

#[test]
fn clear_text_stays_on_this_machine_unless_it_is_wanted() {
    let check = |flags: &[(&str, &str)]| load_all(flags, &[], None).unwrap().refuse_clear_text();
    for fine in [
        &[][..],
        &[("http", "127.9.9.9:1"), ("listen", "[::1]:1")],
        &[("listen", "[::ffff:127.0.0.1]:1")],
        &[("listen", "0.0.0.0:1"), ("insecure", "true")],
        &[("listen", "0.0.0.0:1"), ("tls_cert", "a.pem")],
        &[("http", "192.0.2.1:1"), ("tls", "on")],
    ] {
        assert_eq!(check(fine), Ok(()), "{fine:?}");
    }
    for (flags, named) in [
        (&[("listen", "0.0.0.0:1")][..], "listen is 0.0.0.0:1"),
        (&[("http", "[::]:1")], "http is [::]:1"),
        (&[("http", "192.0.2.1:1"), ("tls_cert", "a.pem"), ("tls", "off")], "http is 192.0.2.1:1"),
    ] {
        let words = check(flags).unwrap_err().to_string();
        assert!(words.contains(named) && words.contains("insecure = true"), "{words}");
    }
}
