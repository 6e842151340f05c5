//! The tables of the batch from the lake and the state: what the gate gives each purpose.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::prelude::SessionContext;
use parking_lot::Mutex;
use serde_json::value::RawValue;
use tessera_audience::{DefinitionName, Definitions, Scalar};
use tessera_model::{FragmentId, HashKey, LabelSet, NamespaceRules, PurposeName, Rules, Timestamp};
use tessera_policy::Labels;
use tessera_profile::Profile;
use tessera_store::Store;

use super::crowd::{Row, batch, lay};
use super::events::Reads;
use super::scan::{Happened, Sieve};
use super::sql::word;
use super::{Batch, Ground, Needs, Said, with_functions};
use crate::delta::Reading;
use crate::query::{Live, Masks, Number, People, Register, Sights};
use crate::{DeltaLake, QueryFailure};

/// What a definition says of everybody whom its purpose permits to look at.
#[derive(Clone, PartialEq, Eq)]
pub enum Everybody {
    /// The profiles that are members.
    Members(BTreeSet<FragmentId>),
    /// The values of those that have any. Personal data.
    Values(BTreeMap<FragmentId, Vec<Scalar>>),
}

impl std::fmt::Debug for Everybody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Members(members) => write!(f, "<{} members>", members.len()),
            Self::Values(values) => write!(f, "<values of {}>", values.len()),
        }
    }
}

/// Who asks, and may not see everything. The default sees all that a purpose does.
#[derive(Clone, Debug, Default)]
pub struct Sees {
    /// Fields with any of these labels are not looked at.
    pub hidden: LabelSet,
    /// Nor are consents for other purposes than these; `None`: all are.
    pub purposes: Option<BTreeSet<PurposeName>>,
}

/// What was found of a purpose's people is kept until all has been asked.
#[derive(Default)]
pub(crate) struct Grounds {
    needs: Mutex<BTreeMap<PurposeName, Needs>>,
    walked: Mutex<BTreeMap<PurposeName, Walked>>,
}

/// The tables of people, by name.
type Walked = Arc<Vec<(&'static str, RecordBatch)>>;

/// Lake and state at one moment.
pub(crate) struct Lakeside<S> {
    pub(crate) lake: Arc<DeltaLake>,
    pub(crate) reading: Arc<Reading>,
    pub(crate) store: Arc<S>,
    pub(crate) rules: Arc<Rules>,
    pub(crate) labels: Arc<Labels>,
    pub(crate) key: HashKey,
    pub(crate) now: Timestamp,
    pub(crate) sees: Sees,
    pub(crate) register: Arc<Register>,
    pub(crate) grounds: Grounds,
}

impl<S: Store> Lakeside<S> {
    /// Answers for `names`.
    pub(crate) async fn ask(
        &self,
        context: SessionContext,
        definitions: &Definitions,
        names: &[DefinitionName],
    ) -> Result<Vec<Everybody>, QueryFailure> {
        let context = with_functions(context);
        let said = Batch { ground: self, context, definitions, now: self.now }.ask(names).await?;
        let profile = |number: i64| {
            let number = Number::try_from(number).ok();
            self.register.numbers.ids(number.into_iter()).into_iter().next()
        };
        let named = |said| match said {
            Said::Members(members) => Everybody::Members(members.into_iter().filter_map(profile).collect()),
            Said::Values(values) => {
                let values =
                    values.into_iter().filter_map(|(number, values)| Some((profile(number)?, values)));
                Everybody::Values(values.collect())
            }
        };
        Ok(said.into_iter().map(named).collect())
    }

    fn people(&self, purpose: &PurposeName) -> Live<S> {
        Live {
            store: Arc::clone(&self.store),
            rules: Arc::clone(&self.rules),
            labels: Arc::clone(&self.labels),
            purpose: purpose.clone(),
            hidden: self.sees.hidden,
            purposes: self.sees.purposes.clone(),
            now: self.now,
        }
    }

    /// The tables of everybody whom the purpose permits to look at, as far as any definition needs them.
    fn walked(&self, purpose: &PurposeName, needs: &Needs) -> Result<Walked, QueryFailure> {
        if let Some(known) = self.grounds.walked.lock().get(purpose) {
            return Ok(Arc::clone(known));
        }
        let all = self.grounds.needs.lock().get(purpose).cloned();
        let walked = Arc::new(self.walk(purpose, all.as_ref().unwrap_or(needs))?.tables()?);
        self.grounds.walked.lock().insert(purpose.clone(), Arc::clone(&walked));
        Ok(walked)
    }

    /// Goes through everybody whom the purpose permits to look at.
    fn walk(&self, purpose: &PurposeName, needs: &Needs) -> Result<Rows, QueryFailure> {
        let (people, mut rows, mut after) = (self.people(purpose), Rows::default(), None);
        let mut accounts = Accounts::default();
        loop {
            let page = people.page(after.as_deref()).map_err(QueryFailure::State)?;
            for profile in &page.profiles {
                let profile = profile.get();
                let Ok(id) = profile.id.parse::<FragmentId>() else { continue };
                let Some(number) = self.register.numbers.of(&[id]).first().copied().map(i64::from) else {
                    continue;
                };
                rows.add(number, profile, needs);
                if !needs.accounts.is_empty() {
                    let traits = self.accounts(&people, profile, needs, &mut accounts)?;
                    rows.accounts.extend(traits.into_iter().map(|(name, values)| {
                        Row::new(number, vec![name, format!("[{}]", values.join(","))])
                    }));
                }
            }
            match page.next {
                Some(next) => after = Some(next),
                None => return Ok(rows),
            }
        }
    }

    /// The values of the traits of a person's accounts.
    fn accounts(
        &self,
        people: &Live<S>,
        profile: &Profile,
        needs: &Needs,
        known: &mut Accounts,
    ) -> Result<BTreeMap<String, Vec<String>>, QueryFailure> {
        let mut values: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for account in &profile.accounts {
            if !known.contains_key(&account.account_id) {
                let reference = format!("{}:{}", NamespaceRules::ACCOUNT, account.account_id);
                let identifier = self.rules.namespaces.parse_reference(&reference).ok();
                let id = identifier.map(|identifier| FragmentId::of(&self.key, &identifier));
                let traits = id.map(|id| people.traits_of(id)).transpose().map_err(QueryFailure::State)?;
                known.insert(account.account_id.clone(), traits.unwrap_or_default());
            }
            let traits = known.get(&account.account_id).into_iter().flatten();
            for (name, value) in traits.filter(|(name, _)| needs.accounts.contains(*name)) {
                values.entry(name.clone()).or_default().push(value.get().to_owned());
            }
        }
        Ok(values)
    }
}

/// The traits of accounts by the accounts' ids.
type Accounts = BTreeMap<String, BTreeMap<String, Box<RawValue>>>;

#[derive(Default)]
struct Rows {
    people: Vec<Row>,
    traits: Vec<Row>,
    accounts: Vec<Row>,
    consents: Vec<Row>,
    subscriptions: Vec<Row>,
}

impl Rows {
    fn tables(&self) -> Result<Vec<(&'static str, RecordBatch)>, QueryFailure> {
        Ok(vec![
            ("people", batch(&["person"], &["id"], &self.people)?),
            ("traits", batch(&["person"], &["name", "value"], &self.traits)?),
            ("accounts", batch(&["person"], &["name", "value"], &self.accounts)?),
            ("consents", batch(&["person"], &["purpose", "status"], &self.consents)?),
            ("subscriptions", batch(&["person"], &["channel", "topic", "state"], &self.subscriptions)?),
        ])
    }

    fn add(&mut self, number: i64, profile: &Profile, needs: &Needs) {
        self.people.push(Row::new(number, vec![profile.id.clone()]));
        let traits = profile.traits.iter().filter(|(name, _)| needs.traits.contains(name.as_str()));
        self.traits
            .extend(traits.map(|(name, value)| Row::new(number, vec![name.clone(), value.get().to_owned()])));
        if needs.consents {
            let words = profile.consents.iter();
            self.consents.extend(words.map(|(purpose, word)| {
                Row::new(number, vec![purpose.to_string(), word.status.as_str().to_owned()])
            }));
        }
        if needs.subscriptions {
            self.subscriptions.extend(
                profile.subscriptions.iter().map(|one| {
                    Row::new(number, vec![one.channel.clone(), one.topic.clone(), word(&one.state)])
                }),
            );
        }
    }
}

impl<S: Store> Ground for Lakeside<S> {
    fn prepare(&self, needs: BTreeMap<PurposeName, Needs>) {
        *self.grounds.needs.lock() = needs;
    }

    fn lay(
        &self,
        context: &SessionContext,
        purpose: &PurposeName,
        (reads, needs): (&Reads, &Needs),
    ) -> Result<(), QueryFailure> {
        let Some(declared) = self.rules.purposes.get(purpose) else {
            return Err(QueryFailure::NotUnderstood { what: "its purpose is not declared".to_owned() });
        };
        let people: Arc<dyn People> = Arc::new(self.people(purpose));
        let masks = Masks::new(&self.labels, declared, self.sees.hidden);
        let sights = Sights::new(people, Arc::clone(&self.register), (declared, self.now));
        let events = Happened {
            folder: self.lake.table().to_owned(),
            reading: Arc::clone(&self.reading),
            sieve: Arc::new(Sieve { sights, masks }),
            reads: reads.clone(),
        };
        context.deregister_table("events").map_err(QueryFailure::of)?;
        context.register_table("events", Arc::new(events)).map_err(QueryFailure::of)?;
        let walked = match needs.people {
            true => self.walked(purpose, needs)?,
            false => Arc::new(Rows::default().tables()?),
        };
        walked.iter().try_for_each(|(name, rows)| lay(context, name, rows.clone()))
    }
}
