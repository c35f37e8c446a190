//! Two network namespaces with a wire between them: the node's, and one for devices, whose address can change.

use std::cell::Cell;
use std::fs::File;
use std::os::fd::AsFd;
use std::process::Command;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// Where the node is.
pub const HOST: &str = "10.77.0.1";

pub struct Networks {
    pub node: String,
    devices: String,
    /// The last number of the devices' address.
    address: Cell<u8>,
}

impl Networks {
    /// `None`, with loud words, where that is not allowed.
    pub fn open() -> Option<Self> {
        let name = |of: &str| format!("maru-{of}-{}", std::process::id());
        let networks = Self { node: name("node"), devices: name("devices"), address: Cell::new(2) };
        let (node, devices) = (networks.node.as_str(), networks.devices.as_str());
        let made = ip(&["netns", "add", node]).and_then(|()| ip(&["netns", "add", devices])).and_then(|()| {
            ip(&["link", "add", "a", "netns", node, "type", "veth", "peer", "b", "netns", devices])
        });
        if let Err(fault) = made {
            eprintln!("\n*** SKIPPED: no network namespaces here (root and iproute2 are needed): {fault}\n");
            return None;
        }
        ip(&["-n", node, "addr", "add", &format!("{HOST}/24"), "dev", "a"]).unwrap();
        for (of, device) in [(node, "a"), (node, "lo"), (devices, "b"), (devices, "lo")] {
            ip(&["-n", of, "link", "set", device, "up"]).unwrap();
        }
        networks.move_to(2, None);
        Some(networks)
    }

    /// This thread opens its sockets among the devices from now on.
    pub fn enter(&self) {
        let place = File::open(format!("/run/netns/{}", self.devices)).unwrap();
        move_into_link_name_space(place.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
    }

    /// The devices have another address now, and the old one is gone.
    pub fn change(&self) {
        let old = self.address.get();
        self.address.set(if old == 250 { 2 } else { old + 1 });
        self.move_to(self.address.get(), Some(old));
    }

    fn move_to(&self, new: u8, old: Option<u8>) {
        let (devices, new) = (self.devices.as_str(), format!("10.77.0.{new}"));
        ip(&["-n", devices, "addr", "add", &format!("{new}/32"), "dev", "b"]).unwrap();
        ip(&["-n", devices, "route", "replace", HOST, "dev", "b", "src", &new]).unwrap();
        if let Some(old) = old {
            ip(&["-n", devices, "addr", "del", &format!("10.77.0.{old}/32"), "dev", "b"]).unwrap();
        }
    }
}

impl Drop for Networks {
    fn drop(&mut self) {
        for name in [&self.node, &self.devices] {
            let _ = ip(&["netns", "del", name]);
        }
    }
}

fn ip(args: &[&str]) -> Result<(), String> {
    let output = Command::new("ip").args(args).output().map_err(|error| format!("ip: {error}"))?;
    let words = String::from_utf8_lossy(&output.stderr);
    if output.status.success() { Ok(()) } else { Err(format!("ip {}: {}", args.join(" "), words.trim())) }
}
