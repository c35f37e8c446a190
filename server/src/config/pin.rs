//! Which core a shard runs on.

/// Whether shards are pinned to cores.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Pin {
    /// Pinned when there are as many shards as cores: then nothing is gained by moving one. With fewer shards than
    /// cores the kernel keeps them off the cores that others use.
    Auto,
    /// Never.
    Off,
    /// Shard n to the n-th of these, from the beginning again when there are more shards.
    Cores(Vec<u16>),
}

impl Pin {
    /// Reads `auto`, `off` or core numbers with commas between them.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "auto" => Some(Self::Auto),
            "off" => Some(Self::Off),
            cores => {
                let cores: Option<Vec<u16>> = cores.split(',').map(|core| core.trim().parse().ok()).collect();
                cores.filter(|cores| cores.iter().all(|core| *core < 1024)).map(Self::Cores)
            }
        }
    }

    /// The core of a shard, when `shards` run on a machine that lets this process use `cores`.
    #[must_use]
    pub fn core_of(&self, shard: u16, shards: u16, cores: &[u16]) -> Option<u16> {
        let pick = |from: &[u16]| from.get(usize::from(shard) % from.len().max(1)).copied();
        match self {
            Self::Auto if usize::from(shards) == cores.len() && shards > 1 => pick(cores),
            Self::Auto | Self::Off => None,
            Self::Cores(from) => pick(from),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_a_shard_runs() {
        let four = [0, 1, 4, 5];
        assert_eq!(Pin::Auto.core_of(2, 4, &four), Some(4));
        assert_eq!(Pin::Auto.core_of(2, 3, &four), None);
        assert_eq!(Pin::Auto.core_of(0, 1, &[0]), None);
        assert_eq!(Pin::Off.core_of(2, 4, &four), None);
        assert_eq!(Pin::parse("5, 7").unwrap().core_of(3, 4, &four), Some(7));
        for wrong in ["", "on", "1,", "-1", "1024"] {
            assert_eq!(Pin::parse(wrong), None, "{wrong}");
        }
    }
}
