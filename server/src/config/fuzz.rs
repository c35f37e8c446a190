//! Mutated files, values and names of settings: each is refused in words or gives a whole configuration.

use super::{ConfigError, SETTINGS, issuers, load};

#[path = "../../../protocol/fuzz/mutate.rs"]
mod mutate;

use mutate::each_mutation;

/// Every refusal is for a person: some words, and no page of them for a short mistake.
fn is_words<T>(outcome: Result<T, ConfigError>, bytes: &[u8]) {
    if let Err(error) = outcome {
        let words = error.to_string();
        assert!(words.len() > 10 && words.len() < 4096 + 8 * bytes.len(), "{words}");
    }
}

#[test]
fn fuzz_files() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("maru.toml");
    let all = "data = \"/d\"\nhttp = \"0.0.0.0:443\"\nquic = \"off\"\nshards = 4\ninsecure = true\npin = \"0,1,2,3\"\n\
               trusted_proxies = \"10.0.0.0/8, ::1\"\nallowed_hosts = \"a.example\"\ndatabase = \"postgres://u:p@h:1/n?sslmode=require\"\n";
    let odd = "# \u{ad6d}\n\"group_members\" = 0x10\nfrom = 1979-05-27\n[table]\nx = [1, [2, {a = 1.5e3}]]\nlog = '''\ninfo'''\n";
    let deep = format!("x = {}", "[".repeat(300));
    let seeds = [all, odd, &deep].map(|text| text.as_bytes().to_vec());
    each_mutation("configuration file", &seeds, 4000, |bytes| {
        std::fs::write(&path, bytes).unwrap();
        is_words(load(&[], [], Some(&path)), bytes);
    });
    let issuer = "[[issuer]]\nissuer = \"https://id.example/x\"\naudiences = [\"maru\"]\nalgorithms = [\"RS256\", \"ES256\"]\n\
                  discovery = true\ncreate = \"on_first_sight\"\nleeway_s = 60\nrefresh_s = 3600\nstale_s = 86400\n";
    let file = "[[issuer]]\nissuer = \"http://127.0.0.1:1\"\naudiences = [\"a\"]\nalgorithms = [\"HS256\"]\njwks_file = \"/none\"\ncreate = \"never\"\n";
    let seeds = [issuer, file].map(|text| text.as_bytes().to_vec());
    each_mutation("issuers' file", &seeds, 2000, |bytes| {
        std::fs::write(&path, bytes).unwrap();
        is_words(issuers(Some(&path)), bytes);
    });
}

#[test]
fn fuzz_values() {
    let values = [
        "127.0.0.1:8080",
        "[::1]:0",
        "auto",
        "off",
        "0,1,2",
        "10.0.0.0/8,::1",
        "postgres://u:p@h:5432/n?sslmode=require&host=/tmp",
        "https://a.example, *",
        "18446744073709551615",
        "-1",
        "true",
        "wss://chat.example/ws",
    ];
    let seeds = values.map(|text| text.as_bytes().to_vec());
    each_mutation("values of settings", &seeds, 2000, |bytes| {
        let text = String::from_utf8_lossy(bytes).into_owned();
        for setting in SETTINGS {
            is_words(load(&[(setting.name.to_owned(), text.clone())], [], None), bytes);
        }
        let variable = (format!("MARU_{}", text.to_uppercase()), text);
        is_words(load(&[], [variable], None).map(|_| ()), bytes);
    });
}
