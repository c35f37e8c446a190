//! The package for Debian and what stands beside it: made, unpacked and run as its user would; files of containers and of Kubernetes
//! by what can be read without their programs.

use std::path::Path;
use std::process::Command;

use server::config::{SETTINGS, load};
use yaml_rust2::{Yaml, YamlLoader};

use crate::{read, root, said};

fn yaml(place: &str) -> Yaml {
    let mut documents =
        YamlLoader::load_from_str(&read(place)).unwrap_or_else(|error| panic!("{place}: {error}"));
    assert_eq!(documents.len(), 1, "{place}");
    documents.remove(0)
}

/// Whether a table of variables holds settings and nothing else.
fn are_settings<'a>(names: impl IntoIterator<Item = &'a str>) {
    for name in names {
        assert!(SETTINGS.iter().any(|setting| setting.variable() == name), "{name} is no setting");
    }
}

#[test]
fn the_package_installs_and_runs() {
    if Command::new("dpkg-deb").arg("--version").output().is_err() {
        eprintln!("no dpkg-deb here");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut make = Command::new(root().join("deploy/deb.sh"));
    make.arg(folder.path()).env("MARU_BIN", env!("CARGO_BIN_EXE_maru")).env("MARU_DEB_FAST", "1");
    said(&make.output().unwrap());
    let mut files = std::fs::read_dir(folder.path()).unwrap();
    let package = files.next().unwrap().unwrap().path();
    assert!(files.next().is_none());
    let ask = |words: &[&str]| said(&Command::new("dpkg-deb").args(words).arg(&package).output().unwrap());
    let control = ask(&["--field"]);
    for line in ["Package: maru\n", "Depends: libc6 (>= 2.", "Architecture: "] {
        assert!(control.contains(line), "{control}");
    }
    // Everything belongs to root, and nobody else may write it.
    for line in ask(&["--contents"]).lines() {
        assert!(line.contains(" root/root ") && line.chars().nth(8) == Some('-'), "{line}");
    }
    let tree = folder.path().join("root");
    said(&Command::new("dpkg-deb").arg("--extract").args([&package, &tree]).output().unwrap());
    let run = |words: &[&str]| Command::new(tree.join("usr/bin/maru")).args(words).output().unwrap();
    assert_eq!(said(&run(&["--version"])), format!("maru {}\n", env!("CARGO_PKG_VERSION")));
    // Its settings are taken as they are.
    let settings = tree.join("etc/maru.toml");
    let data = folder.path().join("data");
    let (settings, data) = (settings.to_str().unwrap(), data.to_str().unwrap());
    let doctor = run(&["admin", "doctor", "--json", "--config", settings, "--data", data]);
    let doctor: serde_json::Value = serde_json::from_slice(&doctor.stdout).unwrap();
    let found = doctor["findings"].as_array().unwrap().iter().find(|finding| finding["check"] == "settings");
    assert_eq!(found.unwrap()["verdict"], "fine", "{doctor}");
    let unit = std::fs::read_to_string(tree.join("usr/lib/systemd/system/maru.service")).unwrap();
    assert!(unit.contains("ExecStart=/usr/bin/maru serve --config /etc/maru.toml"), "{unit}");
    assert!(!unit.contains("/usr/local"), "{unit}");
    for file in [
        "usr/share/man/man1/maru.1.gz",
        "usr/share/man/man1/maru-admin-doctor.1.gz",
        "usr/share/bash-completion/completions/maru",
        "usr/share/zsh/vendor-completions/_maru",
        "usr/share/fish/vendor_completions.d/maru.fish",
        "usr/share/doc/maru/copyright",
        "usr/share/doc/maru/maru.cdx.json.gz",
    ] {
        assert!(tree.join(file).metadata().is_ok_and(|meta| meta.len() > 100), "{file}");
    }
    installs(&package, &folder.path().join("other"));
}

/// By dpkg itself, into a folder in place of this machine, as far as one may who is not root: as a dry run.
fn installs(package: &Path, tree: &Path) {
    std::fs::create_dir_all(tree.join("var/lib/dpkg")).unwrap();
    std::fs::write(tree.join("var/lib/dpkg/status"), "").unwrap();
    let mut dpkg = Command::new("dpkg");
    dpkg.arg("--root").arg(tree).args(["--force-not-root", "--force-depends", "--dry-run", "--install"]);
    let output = dpkg.arg(package).output().unwrap();
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{words}");
}

#[test]
fn the_settings_of_the_package_are_settings() {
    let text = read("deploy/maru.toml");
    let lines = text.lines().filter_map(|line| line.strip_prefix("# ")).filter(|line| line.contains(" = "));
    let lines: Vec<&str> = lines.filter(|line| !line.contains('.') || line.contains('"')).collect();
    assert!(lines.len() > 7, "{lines:?}");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("maru.toml");
    std::fs::write(&path, lines.join("\n")).unwrap();
    let config = load(&[], [], Some(&path)).unwrap_or_else(|error| panic!("{error}"));
    assert!(config.tls_cert.is_some() && config.signup == Some(api::Signup::Invite));
}

#[test]
fn the_compose_file_names_settings_and_volumes_that_are() {
    let compose = yaml("deploy/compose.yaml");
    let maru = &compose["services"]["maru"];
    are_settings(maru["environment"].as_hash().unwrap().keys().map(|name| name.as_str().unwrap()));
    assert_eq!(maru["read_only"].as_bool(), Some(true));
    assert!(
        root().join("deploy").join(maru["build"]["context"].as_str().unwrap()).join("Cargo.toml").exists()
    );
    assert!(root().join(maru["build"]["dockerfile"].as_str().unwrap()).exists());
    for service in compose["services"].as_hash().unwrap().values() {
        for volume in service["volumes"].as_vec().unwrap() {
            let (name, _) = volume.as_str().unwrap().split_once(':').unwrap();
            assert!(!compose["volumes"][name].is_badvalue(), "{name}");
        }
    }
    assert_eq!(compose["services"]["postgres"]["profiles"][0].as_str(), Some("postgres"));
    // Clear text stays on this machine.
    for port in maru["ports"].as_vec().unwrap() {
        assert!(port.as_str().unwrap().starts_with("127.0.0.1:"), "{port:?}");
    }
}

#[test]
fn the_image_runs_as_nobody_and_asks_itself() {
    let text = read("deploy/Containerfile");
    let lines = text.lines().filter_map(|line| line.strip_prefix("ENV "));
    are_settings(lines.flat_map(str::split_whitespace).filter_map(|pair| Some(pair.split_once('=')?.0)));
    assert!(text.contains("\nUSER 65532:65532\n") && text.contains("\nHEALTHCHECK "), "{text}");
    // The words of the probe are words of the program; nobody answers at that port.
    let (_, probe) = text.split_once("HEALTHCHECK").unwrap();
    let probe = probe.split_once("CMD ").unwrap().1.lines().next().unwrap();
    let words: Vec<String> = serde_json::from_str(probe).unwrap();
    let words: Vec<&str> = words[1..].iter().map(String::as_str).collect();
    let words: Vec<&str> =
        words.iter().map(|word| if word.starts_with("http") { "http://127.0.0.1:1" } else { word }).collect();
    let output = crate::maru(&words);
    assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn the_chart_names_settings_and_is_hardened() {
    let (chart, values) = (yaml("deploy/helm/maru/Chart.yaml"), yaml("deploy/helm/maru/values.yaml"));
    assert_eq!(chart["appVersion"].as_str(), Some(env!("CARGO_PKG_VERSION")));
    for name in values["settings"].as_hash().unwrap().keys() {
        assert!(SETTINGS.iter().any(|setting| setting.name == name.as_str().unwrap()), "{name:?}");
    }
    // Every value that a template asks for is there.
    let folder = root().join("deploy/helm/maru/templates");
    let mut asked = 0;
    for file in std::fs::read_dir(folder).unwrap() {
        let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
        for rest in text.split(".Values.").skip(1) {
            let end = rest.find(|c: char| !c.is_alphanumeric() && c != '.').unwrap();
            let mut at = &values;
            for part in rest[..end].split('.') {
                at = &at[part];
            }
            assert!(!at.is_badvalue(), "{}", &rest[..end]);
            asked += 1;
        }
    }
    assert!(asked > 15, "{asked}");
    let pod = read("deploy/helm/maru/templates/statefulset.yaml");
    for line in [
        "replicas: 1",
        "enableServiceLinks: false",
        "fsGroup: 65532",
        "readOnlyRootFilesystem: true",
        "allowPrivilegeEscalation: false",
        "drop: [\"ALL\"]",
        "runAsNonRoot: true",
    ] {
        assert!(pod.contains(line), "{line}");
    }
}

/// As Kubernetes would get it, where helm is: with defaults, and with everything.
#[test]
fn the_chart_renders_where_helm_is() {
    if Command::new("helm").arg("version").output().is_err() {
        eprintln!("no helm here");
        return;
    }
    let everything = [
        "--set",
        "tls.secretName=t,database.secretName=d,storage.className=fast,settings.shards=2",
        "--set",
        "imagePullSecrets[0].name=s,nodeSelector.a=b,podAnnotations.c=d,service.annotations.e=f",
        "--set",
        "tolerations[0].key=x,affinity.nodeAffinity.y=z",
    ];
    for more in [&[][..], &everything] {
        let mut helm = Command::new("helm");
        let chart = root().join("deploy/helm/maru");
        let text = said(&helm.args(["template", "maru"]).arg(chart).args(more).output().unwrap());
        let documents = YamlLoader::load_from_str(&text).unwrap();
        let of =
            |kind: &str| documents.iter().find(|document| document["kind"].as_str() == Some(kind)).unwrap();
        let file = of("ConfigMap")["data"]["maru.toml"].as_str().unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("maru.toml"), file).unwrap();
        let config = load(&[], [], Some(&folder.path().join("maru.toml"))).unwrap();
        config.refuse_clear_text().unwrap();
        assert_eq!(config.shards, (!more.is_empty()).then_some(2));
        let pod = &of("StatefulSet")["spec"]["template"]["spec"];
        let container = &pod["containers"][0];
        let scheme = if more.is_empty() { "HTTP" } else { "HTTPS" };
        for probe in ["startupProbe", "livenessProbe", "readinessProbe"] {
            assert_eq!(container[probe]["httpGet"]["scheme"].as_str(), Some(scheme));
            assert_eq!(container[probe]["httpGet"]["port"].as_str(), Some("admin"));
        }
        let volumes: Vec<_> =
            pod["volumes"].as_vec().unwrap().iter().map(|volume| volume["name"].as_str().unwrap()).collect();
        for mount in container["volumeMounts"].as_vec().unwrap() {
            let name = mount["name"].as_str().unwrap();
            assert!(name == "data" || volumes.contains(&name), "{name}");
        }
        // No variable of this Service is one of ours.
        let service = of("Service")["metadata"]["name"].as_str().unwrap();
        assert!(service != "maru" && pod["enableServiceLinks"].as_bool() == Some(false), "{service}");
    }
}
