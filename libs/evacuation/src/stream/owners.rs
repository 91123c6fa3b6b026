//! Which two owners sign a plan.

use std::{fmt, str::FromStr};

use chain::KeyRole;

/// The two owners whose signatures move the money. Two different ones always: there is no other value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OwnerPair {
    /// Where nothing else is said: no hot key is needed.
    #[default]
    CoolAndCold,
    /// Cooler is suspected, or its key is lost: Keeper and the cold paper.
    HotAndCold,
    /// The paper is lost: Keeper and Cooler, each only if its data centre's local policy allows it.
    HotAndCool,
}

impl OwnerPair {
    /// All of them.
    pub const ALL: [OwnerPair; 3] = [OwnerPair::CoolAndCold, OwnerPair::HotAndCold, OwnerPair::HotAndCool];

    /// Both, in the order of owners in every address.
    pub fn roles(self) -> [KeyRole; 2] {
        match self {
            OwnerPair::CoolAndCold => [KeyRole::Cool, KeyRole::Cold],
            OwnerPair::HotAndCold => [KeyRole::Hot, KeyRole::Cold],
            OwnerPair::HotAndCool => [KeyRole::Hot, KeyRole::Cool],
        }
    }

    /// Whether `role` is one of them.
    pub fn includes(self, role: KeyRole) -> bool {
        self.roles().contains(&role)
    }

    /// As commands name it.
    fn name(self) -> &'static str {
        match self {
            OwnerPair::CoolAndCold => "cool,cold",
            OwnerPair::HotAndCold => "hot,cold",
            OwnerPair::HotAndCool => "hot,cool",
        }
    }

    /// In a plan: nothing for cool and cold, as in the plans of earlier builds.
    pub(crate) fn to_wire(self) -> String {
        if self == Self::default() { String::new() } else { self.name().to_owned() }
    }

    /// Each has one form in a plan.
    pub(crate) fn from_wire(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|pair| pair.to_wire() == text)
    }
}

/// The owner of this name.
pub(crate) fn owner(name: &str) -> Option<KeyRole> {
    [KeyRole::Hot, KeyRole::Cool, KeyRole::Cold].into_iter().find(|role| role.as_str() == name)
}

impl FromStr for OwnerPair {
    type Err = String;

    /// Two names with a comma between them, in either order.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let two = text.split_once(',').and_then(|(one, other)| Some((owner(one.trim())?, owner(other.trim())?)));
        let of = |(one, other)| {
            Self::ALL.into_iter().find(|pair| one != other && pair.includes(one) && pair.includes(other))
        };
        two.and_then(of).ok_or_else(|| "expected two different owners: cool,cold or hot,cold or hot,cool".to_owned())
    }
}

impl fmt::Display for OwnerPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [one, other] = self.roles();
        write!(f, "{one} and {other}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_two_owners_have_one_name_in_a_plan_and_either_order_on_a_command_line() {
        for pair in OwnerPair::ALL {
            let [one, other] = pair.roles();
            assert_eq!(format!("{one},{other}").parse(), Ok(pair));
            assert_eq!(format!("{other}, {one}").parse(), Ok(pair));
            assert_eq!(OwnerPair::from_wire(&pair.to_wire()), Some(pair));
        }
        assert_eq!(OwnerPair::default().to_wire(), "", "as a plan of an earlier build");
        for wrong in ["cool,cold", "cold,hot", "hot", "hot,hot", ","] {
            assert_eq!(OwnerPair::from_wire(wrong), None, "{wrong}");
        }
        for wrong in ["", "hot", "hot,hot", "hot,warm", "hot,cool,cold", "hot and cool"] {
            assert!(wrong.parse::<OwnerPair>().unwrap_err().contains("two different owners"), "{wrong}");
        }
    }
}
