//! What the engine asks about a person.

use tessera_model::{ConsentStatus, PurposeName, SubscriptionState};

use super::state::FragmentState;

/// One person as each purpose may see them. The caller asks the gate: what a purpose does not permit is not there.
pub trait View {
    /// The profile's id as text.
    fn id(&self) -> &str;

    /// Whether a purpose may use anything of the person. Where it may not, nobody is a member and there are no values.
    fn permits(&self, _purpose: &PurposeName) -> bool {
        true
    }

    /// The states of the person's fragments, as far as their events serve the purpose.
    fn states(&self, purpose: &PurposeName) -> Vec<&FragmentState>;

    /// The surviving value of a trait, as JSON.
    fn trait_of(&self, purpose: &PurposeName, name: &str) -> Option<&str>;

    /// The values of a trait of each of the person's accounts, as JSON.
    fn accounts(&self, purpose: &PurposeName, name: &str) -> Vec<&str>;

    /// What the person last said of a purpose; of contradicting words the one that decides.
    fn consent(&self, of: &PurposeName) -> Option<ConsentStatus>;

    /// Channel, topic (empty: the channel as a whole) and state of each contact point of the person.
    fn subscriptions(&self) -> Vec<(&str, &str, SubscriptionState)>;
}
