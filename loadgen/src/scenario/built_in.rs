//! The scenarios that come with the tool. Each is TOML, so that `--print-scenario` gives a file to begin with.

/// One of them.
#[derive(Debug)]
pub(crate) struct BuiltIn {
    pub(crate) name: &'static str,
    pub(crate) toml: &'static str,
}

/// In the order of the help.
pub(crate) const BUILT_IN: &[BuiltIn] = &[
    BuiltIn {
        name: "connect",
        toml: r#"name = "connect"
devices = 5000
seconds = 3.0
connect = { per_s = 1000.0, in_flight = 256 }
roles = { idle = 1.0 }
"#,
    },
    BuiltIn {
        name: "idle",
        toml: r#"name = "idle"
devices = 10000
warmup_s = 5.0
seconds = 60.0
connect = { per_s = 2000.0, in_flight = 256 }
roles = { idle = 1.0 }
"#,
    },
    BuiltIn {
        name: "direct",
        toml: r#"name = "direct"
devices = 200
warmup_s = 2.0
seconds = 10.0
roles = { direct = 1.0, idle = 0.0 }
direct = { peers = 1, both = true }
load = { rate = 0.0, ramp_to = 0.0, arrivals = "poisson", depth = 1 }
texts = [{ chars = [64, 64], weight = 1.0, script = "latin" }]
"#,
    },
    BuiltIn {
        name: "group",
        toml: r#"name = "group"
devices = 1000
warmup_s = 2.0
seconds = 10.0
roles = { group = 1.0, idle = 0.0 }
group = { size = 100, senders = 1 }
load = { rate = 0.0, ramp_to = 0.0, arrivals = "poisson", depth = 1 }
texts = [{ chars = [64, 64], weight = 1.0, script = "latin" }]
"#,
    },
    BuiltIn {
        name: "large",
        toml: r#"name = "large"
devices = 1000
warmup_s = 3.0
seconds = 10.0
patience_s = 60.0
roles = { group = 1.0, idle = 0.0 }
group = { size = 1000, senders = 1, away = 9000 }
load = { rate = 10.0, ramp_to = 0.0, arrivals = "poisson", depth = 0 }
texts = [{ chars = [64, 64], weight = 1.0, script = "latin" }]
"#,
    },
    BuiltIn {
        name: "resume",
        toml: r#"name = "resume"
devices = 1000
warmup_s = 2.0
seconds = 30.0
roles = { direct = 1.0, idle = 0.0 }
load = { rate = 2000.0, ramp_to = 0.0, arrivals = "poisson", depth = 0 }
cut = { per_s = 20.0, offline_ms = 5000 }
"#,
    },
    BuiltIn {
        name: "churn",
        toml: r#"name = "churn"
devices = 5000
warmup_s = 2.0
seconds = 30.0
roles = { idle = 1.0 }
cut = { per_s = 200.0, offline_ms = 0 }
"#,
    },
    BuiltIn {
        name: "storm",
        toml: r#"name = "storm"
devices = 2000
warmup_s = 2.0
seconds = 20.0
roles = { idle = 0.8, direct = 0.2 }
load = { rate = 500.0, ramp_to = 0.0, arrivals = "poisson", depth = 0 }
cut = { per_s = 0.0, offline_ms = 0, spread_ms = 0, storms_at_s = [8.0], roles = ["idle"] }
"#,
    },
    BuiltIn {
        name: "presence",
        toml: r#"name = "presence"
devices = 6000
warmup_s = 15.0
seconds = 60.0
connect = { per_s = 1000.0, in_flight = 256 }
roles = { idle = 0.8, direct = 0.2 }
load = { rate = 500.0, ramp_to = 0.0, arrivals = "poisson", depth = 0 }
presence = { friends = 50, flips_per_s = 200.0 }
"#,
    },
    BuiltIn {
        name: "mixed",
        toml: r#"name = "mixed"
devices = 1000
warmup_s = 3.0
seconds = 30.0
drain_s = 60.0
patience_s = 60.0
roles = { idle = 0.5, direct = 0.3, group = 0.2 }
direct = { peers = 3, both = true }
group = { size = 20, senders = 5 }
load = { rate = 500.0, ramp_to = 0.0, arrivals = "poisson", depth = 0 }
cut = { per_s = 10.0, offline_ms = 1000 }

[[texts]]
chars = [23, 60]
weight = 60.0
script = "korean"

[[texts]]
chars = [23, 120]
weight = 30.0
script = "latin"

[[texts]]
chars = [500, 5000]
weight = 9.9
script = "korean"

[[texts]]
chars = [100000, 100000]
weight = 0.1
script = "korean"
"#,
    },
];
