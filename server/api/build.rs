//! Puts the web app into the binary: the files of `web/`, which `clients/web/app` builds or a release brings along. When there are
//! none the binary is built all the same, and `/` says so. A file `NAME.br` or `NAME.gz` is NAME, compressed ahead.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let of =
        |name: &str| env::var_os(name).map(PathBuf::from).ok_or_else(|| io::Error::other(name.to_owned()));
    let folder = of("CARGO_MANIFEST_DIR")?.join("web");
    println!("cargo::rerun-if-changed={}", folder.display());
    println!("cargo::rerun-if-changed=build.rs");
    let mut names = Vec::new();
    for entry in fs::read_dir(&folder)? {
        let name = entry?.file_name();
        names.push(
            name.into_string().map_err(|name| io::Error::other(format!("a name in no UTF-8: {name:?}")))?,
        );
    }
    names.sort();
    let is_packed = |name: &str| name.ends_with(".br") || name.ends_with(".gz");
    let mut table = String::from("&[\n");
    for name in names.iter().filter(|name| !name.starts_with('.') && !is_packed(name)) {
        let packed = |ending: &str| {
            let packed = format!("{name}.{ending}");
            let there = names.contains(&packed).then(|| bytes(&folder, &packed));
            there.map_or_else(|| "None".to_owned(), |bytes| format!("Some({bytes})"))
        };
        let (plain, brotli, gzip) = (bytes(&folder, name), packed("br"), packed("gz"));
        writeln!(table, "    Asset {{ name: {name:?}, plain: {plain}, brotli: {brotli}, gzip: {gzip} }},")
            .map_err(io::Error::other)?;
    }
    table.push(']');
    fs::write(of("OUT_DIR")?.join("web.rs"), table)
}

fn bytes(folder: &Path, name: &str) -> String {
    format!("include_bytes!({:?})", folder.join(name))
}
