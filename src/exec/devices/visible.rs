//! Owns which of a machine's cards this process may use, and their numbers: what `CUDA_VISIBLE_DEVICES` means.
//! Pure.

use super::left_out::{LeftOut, Why};
use crate::values::Speed;

/// A card as the driver numbers it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Card {
    /// Its number, as `nvidia-smi` shows it.
    pub(super) number: usize,
    /// `GPU-…`, where the driver tells.
    pub(super) uuid: Option<String>,
    /// What computes: the card, or its instances in MIG mode.
    pub(super) parts: Result<Vec<Part>, Why>,
}

/// A card or an instance of one: what a process can be given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Part {
    /// `GPU-…` or `MIG-…`.
    pub(super) uuid: String,
    /// What is known of it, or why it cannot be used.
    pub(super) facts: Result<Facts, Why>,
}

/// What the driver says of a part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Facts {
    /// Product name.
    pub(super) name: String,
    /// Its own memory; None where it uses the machine's.
    pub(super) memory: Option<Memory>,
    /// Compute capability.
    pub(super) capability: Option<(u32, u32)>,
    /// How fast it is thought to be.
    pub(super) speed: Option<Speed>,
    /// The processes that compute on it; None where the driver does not say.
    pub(super) processes: Option<Vec<u32>>,
}

/// Memory of a part, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Memory {
    pub(super) total: u64,
    pub(super) free: u64,
    /// What is in use for other things than a picture on a screen.
    pub(super) in_use: u64,
}

/// A part that this process may use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    /// Its number among them: torch's `cuda:N`.
    pub(super) index: usize,
    pub(super) uuid: String,
    pub(super) facts: Facts,
}

/// What is visible, and what should be and cannot be used.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Visible {
    pub(super) seen: Vec<Seen>,
    pub(super) left_out: Vec<LeftOut>,
}

impl Visible {
    /// Adds a part of the card with this number, where that is known.
    fn add(&mut self, index: usize, number: Option<usize>, part: &Part) {
        let uuid = part.uuid.clone();
        match &part.facts {
            Ok(facts) => self.seen.push(Seen { index, uuid, facts: facts.clone() }),
            Err(why) => self.left_out.push(LeftOut::new(index, number, uuid, why.clone())),
        }
    }

    fn leave_out(&mut self, index: Option<usize>, card: &Card, why: &Why) {
        let (number, name) = (Some(card.number), format!("GPU {}", card.number));
        self.left_out.push(LeftOut { index, number, name, why: why.clone() });
    }
}

/// All cards, in the driver's order. One that this process may not use has no number here, since CUDA does not
/// count it; one that is broken keeps its number, so that the others do.
pub(super) fn all(cards: &[Card]) -> Visible {
    let mut visible = Visible::default();
    let mut index = 0;
    for card in cards {
        match &card.parts {
            Ok(parts) => {
                for part in parts {
                    visible.add(index, Some(card.number), part);
                    index += 1;
                }
            }
            Err(Why::NoPermission) => visible.leave_out(None, card, &Why::NoPermission),
            Err(why) => {
                visible.leave_out(Some(index), card, why);
                index += 1;
            }
        }
    }
    visible
}

/// The cards that a value of `CUDA_VISIBLE_DEVICES` names, in its order. It lists numbers, which count the cards
/// that this process may use, and UUIDs of cards or of MIG instances, of which a unique beginning is enough; the
/// first entry that names nothing hides itself and all after it (CUDA C++ Programming Guide, "CUDA Environment
/// Variables"). `instance` asks the driver for an instance that no card has told of.
pub(super) fn named(wanted: &str, cards: &[Card], instance: &dyn Fn(&str) -> Option<Part>) -> Visible {
    let mut visible = Visible::default();
    if cards.is_empty() {
        return visible;
    }
    // Nothing can be named of cards that are known by their device files alone.
    if cards.iter().all(|card| card.parts.as_ref().is_err_and(Why::is_of_driver)) {
        let hidden = wanted.split(',').next().is_some_and(|entry| hides(entry.trim()));
        return if hidden { visible } else { all(cards) };
    }
    let mut names = Vec::new();
    for (index, entry) in wanted.split(',').map(str::trim).enumerate() {
        if hides(entry) {
            break;
        }
        let Some(found) = find(entry, cards, instance).filter(|found| !names.contains(&found.name())) else {
            let name = format!("`{entry}` in CUDA_VISIBLE_DEVICES");
            visible.left_out.push(LeftOut { index: Some(index), number: None, name, why: Why::NoSuchCard });
            break;
        };
        names.push(found.name());
        match found {
            Found::Part(number, part) => visible.add(index, number, &part),
            Found::Broken(card, why) => visible.leave_out(Some(index), card, why),
        }
    }
    visible
}

/// Whether an entry is there to hide what follows: programs that hand out GPUs write these.
fn hides(entry: &str) -> bool {
    entry.starts_with('-') || ["", "NoDevFiles", "none", "void"].contains(&entry)
}

/// What an entry names.
enum Found<'a> {
    /// A part of the card with this number, where that is known.
    Part(Option<usize>, Part),
    Broken(&'a Card, &'a Why),
}

impl Found<'_> {
    /// What tells it from others.
    fn name(&self) -> (Option<usize>, String) {
        match self {
            Self::Part(number, part) => (*number, part.uuid.clone()),
            Self::Broken(card, _) => (Some(card.number), String::new()),
        }
    }
}

fn find<'a>(entry: &str, cards: &'a [Card], instance: &dyn Fn(&str) -> Option<Part>) -> Option<Found<'a>> {
    let whole = |card: &'a Card| match &card.parts {
        // Of a divided card, CUDA gives the first instance.
        Ok(parts) => parts.first().map(|part| Found::Part(Some(card.number), part.clone())),
        Err(why) => Some(Found::Broken(card, why)),
    };
    if let Ok(number) = entry.parse::<usize>() {
        return cards.iter().filter(|card| card.parts != Err(Why::NoPermission)).nth(number).and_then(whole);
    }
    if entry.starts_with("GPU-") {
        let is_it = |card: &&Card| card.uuid.as_ref().is_some_and(|uuid| uuid.starts_with(entry));
        return only(cards.iter().filter(is_it)).and_then(whole);
    }
    if entry.starts_with("MIG-") {
        let parts = |card: &'a Card| card.parts.iter().flatten().map(move |part| (card, part));
        let is_it = |(_, part): &(&Card, &Part)| part.uuid.starts_with(entry);
        let known = only(cards.iter().flat_map(parts).filter(is_it));
        let known = known.map(|(card, part)| Found::Part(Some(card.number), part.clone()));
        // The card itself may be out of reach where its instance is not.
        return known.or_else(|| Some(Found::Part(None, instance(entry)?)));
    }
    None
}

/// The only one there is.
fn only<T>(mut found: impl Iterator<Item = T>) -> Option<T> {
    let first = found.next()?;
    found.next().is_none().then_some(first)
}

/// Whether a value of `CUDA_VISIBLE_DEVICES` counts cards rather than naming them.
pub(super) fn counts(wanted: &str) -> bool {
    wanted.split(',').any(|entry| entry.trim().parse::<usize>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(uuid: &str) -> Part {
        let facts =
            Facts { name: "H100".to_owned(), memory: None, capability: None, speed: None, processes: None };
        Part { uuid: uuid.to_owned(), facts: Ok(facts) }
    }

    fn card(number: usize, uuid: &str) -> Card {
        Card { number, uuid: Some(uuid.to_owned()), parts: Ok(vec![part(uuid)]) }
    }

    fn broken(number: usize, why: Why) -> Card {
        Card { number, uuid: None, parts: Err(why) }
    }

    fn divided(number: usize, instances: &[&str]) -> Card {
        let parts = Ok(instances.iter().map(|uuid| part(uuid)).collect());
        Card { number, uuid: Some("GPU-dd44".to_owned()), parts }
    }

    fn seen(visible: &Visible) -> Vec<(usize, &str)> {
        visible.seen.iter().map(|seen| (seen.index, seen.uuid.as_str())).collect()
    }

    /// What a value leaves visible, of three cards and one in MIG mode.
    fn under(wanted: &str) -> Visible {
        let mut cards: Vec<Card> =
            ["GPU-aa11", "GPU-ab22", "GPU-cc33"].into_iter().enumerate().map(|(i, id)| card(i, id)).collect();
        cards.push(divided(3, &["MIG-e5", "MIG-f6"]));
        named(wanted, &cards, &|uuid| (uuid == "MIG-GPU-dd44/7/0").then(|| part(uuid)))
    }

    #[test]
    fn numbers_and_unique_beginnings_name_cards_in_the_order_of_the_list() {
        assert_eq!(seen(&under("2,0")), [(0, "GPU-cc33"), (1, "GPU-aa11")]);
        assert_eq!(seen(&under("GPU-ab, GPU-cc33")), [(0, "GPU-ab22"), (1, "GPU-cc33")]);
        assert_eq!(seen(&under("MIG-f6,MIG-e5")), [(0, "MIG-f6"), (1, "MIG-e5")]);
        assert_eq!(seen(&under("MIG-GPU-dd44/7/0")), [(0, "MIG-GPU-dd44/7/0")]);
        assert_eq!(seen(&under("3")), [(0, "MIG-e5")], "CUDA sees one instance of a card");
        assert_eq!(seen(&under("GPU-dd")), [(0, "MIG-e5")]);
    }

    #[test]
    fn what_hides_all_after_it_on_purpose_is_no_mistake() {
        for (wanted, left) in [("", 0), ("-1", 0), ("NoDevFiles", 0), ("1,-1,2", 1)] {
            let visible = under(wanted);
            assert_eq!((visible.seen.len(), visible.left_out.len()), (left, 0), "{wanted}");
        }
    }

    #[test]
    fn an_entry_that_names_nothing_is_told_and_hides_all_after_it() {
        for (wanted, left) in [("0,7,1", 1), ("GPU-a", 0), ("1,1", 1), ("MIG-zz,0", 0), ("gpu0", 0)] {
            let visible = under(wanted);
            assert_eq!(visible.seen.len(), left, "{wanted}");
            let told: Vec<(&Why, bool)> = visible
                .left_out
                .iter()
                .map(|one| (&one.why, wanted.contains(one.name.split('`').nth(1).unwrap())))
                .collect();
            assert_eq!(told, [(&Why::NoSuchCard, true)], "{wanted}");
        }
    }

    #[test]
    fn a_broken_card_keeps_its_number_and_one_of_others_has_none() {
        let cards =
            [broken(0, Why::NoPermission), card(1, "GPU-aa11"), broken(2, Why::Lost), card(3, "GPU-cc33")];
        let visible = all(&cards);
        assert_eq!(seen(&visible), [(0, "GPU-aa11"), (2, "GPU-cc33")]);
        let told: Vec<(Option<usize>, &str)> =
            visible.left_out.iter().map(|one| (one.index, one.name.as_str())).collect();
        assert_eq!(told, [(None, "GPU 0"), (Some(1), "GPU 2")]);
        let visible = named("1,2", &cards, &|_| None);
        assert_eq!(seen(&visible), [(1, "GPU-cc33")]);
        assert_eq!((visible.left_out[0].index, &visible.left_out[0].why), (Some(0), &Why::Lost));
    }

    #[test]
    fn cards_without_an_answer_are_told_unless_they_are_hidden() {
        let cards = [broken(0, Why::NoLibrary), broken(1, Why::NoLibrary)];
        for wanted in ["0", "GPU-aa11", "MIG-e5", "7"] {
            let visible = named(wanted, &cards, &|_| None);
            assert_eq!((visible.seen.len(), visible.left_out.len()), (0, 2), "{wanted}");
        }
        assert_eq!(named("", &cards, &|_| None), Visible::default());
        assert_eq!(all(&cards).left_out.len(), 2);
        assert_eq!(
            named("0", &[], &|_| None),
            Visible::default(),
            "where there is nothing, nothing is missed"
        );
    }

    #[test]
    fn every_instance_is_one_where_nothing_is_named() {
        let cards = [divided(0, &["MIG-e5", "MIG-f6"]), card(1, "GPU-aa11"), broken(2, Why::NoInstance)];
        let visible = all(&cards);
        assert_eq!(seen(&visible), [(0, "MIG-e5"), (1, "MIG-f6"), (2, "GPU-aa11")]);
        assert_eq!(visible.left_out.len(), 1);
    }
}
