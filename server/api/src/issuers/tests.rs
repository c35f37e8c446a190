use serde_json::{Value, json};

use super::*;

/// A good issuer with some of it changed; null takes a part away.
fn read(changes: Value) -> Result<Issuers, String> {
    let mut issuer = json!({
        "issuer": "https://id.example.org", "audiences": ["maru"], "algorithms": ["RS256", "ES256"],
        "jwks_url": "https://id.example.org/jwks", "create": "never",
    });
    for (name, value) in changes.as_object().unwrap() {
        issuer[name] = value.clone();
    }
    let issuer = issuer.as_object().unwrap().clone();
    let issuer: Value = issuer.into_iter().filter(|(_, value)| !value.is_null()).collect();
    let file = serde_json::from_value(json!({ "issuer": [issuer] })).map_err(|error| error.to_string())?;
    let trusting: Trusting<'_> = &|file| match file {
        Some(file) => Err(format!("{}: nobody", file.display())),
        None => {
            // Which provider is not left to what else is built: other crates bring another one.
            let builder =
                ClientConfig::builder_with_provider(rustls::crypto::ring::default_provider().into());
            let builder = builder.with_safe_default_protocol_versions().unwrap();
            Ok(builder.with_root_certificates(rustls::RootCertStore::empty()).with_no_client_auth().into())
        }
    };
    Issuers::new(file, trusting)
}

#[test]
fn what_an_operator_may_say() {
    for good in [
        json!({}),
        json!({ "jwks_url": null, "discovery": true }),
        json!({ "jwks_url": "http://127.0.0.1:8/jwks", "ca_file": "/nonexistent" }),
        json!({ "leeway_s": 0, "token_s_max": 60, "refresh_s": 60, "stale_s": 60, "again_s": 1 }),
    ] {
        assert!(!read(good.clone()).unwrap_or_else(|fault| panic!("{good}: {fault}")).is_empty());
    }
}

#[test]
fn what_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        private_file::replace(folder.path(), &path, text).unwrap();
        path
    };
    let (secret, short) = (file("secret", &"s".repeat(32)), file("short", &"s".repeat(31)));
    let open = file("open", &"s".repeat(32));
    std::fs::set_permissions(&open, std::os::unix::fs::PermissionsExt::from_mode(0o640)).unwrap();
    let no_keys = file("keys", "{}");
    let shared = |path: &PathBuf, algorithms: &[&str]| json!({ "jwks_url": null, "secret_file": path, "algorithms": algorithms });
    assert!(read(shared(&secret, &["HS256"])).is_ok());
    for (bad, words) in [
        (json!({ "issuer": "" }), "its name"),
        (json!({ "issuer": "a\"b" }), "its name"),
        (json!({ "audiences": [] }), "audiences"),
        (json!({ "audiences": [""] }), "audiences"),
        (json!({ "audiences": null }), "audiences"),
        (json!({ "algorithms": [] }), "algorithms"),
        (json!({ "algorithms": ["none"] }), "none"),
        (json!({ "algorithms": ["RS256", "HS256"] }), "HS256 goes with secret_file"),
        (json!({ "algorithms": ["HS256"] }), "HS256 goes with secret_file"),
        (shared(&secret, &["RS256"]), "HS256 goes with secret_file"),
        (shared(&secret, &["HS256", "ES256"]), "HS256 goes with secret_file"),
        (shared(&short, &["HS256"]), "shorter than 32"),
        (shared(&open, &["HS256"]), "mode 640"),
        (shared(&PathBuf::from("/nonexistent"), &["HS256"]), "/nonexistent"),
        (json!({ "jwks_url": null }), "expected one of"),
        (json!({ "discovery": true }), "expected one of"),
        (json!({ "jwks_url": null, "jwks_file": no_keys }), "no list"),
        (json!({ "jwks_url": null, "jwks_file": "/nonexistent" }), "/nonexistent"),
        (json!({ "jwks_url": "http://id.example.org/jwks" }), "this machine alone"),
        (json!({ "jwks_url": null, "discovery": true, "issuer": "maru" }), "is no URL"),
        (json!({ "ca_file": "/nonexistent" }), "nobody"),
        (json!({ "create": "always" }), "always"),
        (json!({ "create": null }), "create"),
        (json!({ "leeway_s": 301 }), "0 to 300"),
        (json!({ "stale_s": 3599 }), "3600 to 604800"),
        (json!({ "again_s": 0 }), "1 to 300"),
        (json!({ "subject_claim": "" }), "subject_claim"),
        (json!({ "audience": "maru" }), "unknown field"),
    ] {
        let fault = read(bad.clone()).unwrap_err();
        assert!(fault.contains(words), "{bad}: {fault}");
    }
}
