//! What each command does, and what several of them need: the database, the engine.

mod apply;
mod audit;
mod blobs;
mod bulk;
mod copies;
mod expire;
mod jobs;
mod kept;
mod keys;
mod model;
pub(crate) mod placement;
mod privacy;
mod project;
mod prove;
mod rebuild;
mod rows;
mod serve;
mod sql;
mod tenant;
mod token;
mod whole;

pub(crate) use self::{
    apply::apply_text,
    project::caught_up,
    serve::{bind, key_of, until_stopped},
};

use std::process::ExitCode;

use freehold_engine::{Engine, Operator, RootKey, Store, StoreConfig, keys::Replayed};

use crate::{
    cli::{Check, Cli, Command},
    config::{Config, KeyAt},
    output::{self, Failure, STOPPED},
    services::{self, Database},
    stop,
};

/// Runs a command to its end; the exit code says how it ended.
pub(crate) async fn run(cli: Cli) -> ExitCode {
    let config = Config::new(&cli.global);
    // A prompt waits for a person and ends with the terminal; it hears Ctrl-C while a statement runs.
    let is_prompt = matches!(&cli.command, Command::Sql(sql) if sql.is_prompt());
    let work = async {
        match cli.command {
            Command::Demo(demo) => crate::demo::demo(&cli.global, &demo).await,
            Command::Bench(bench) => crate::bench::bench(&config, &bench).await,
            command => dispatch(command, &config).await,
        }
    };
    let outcome = tokio::select! {
        outcome = work => outcome,
        () = stop::heard_by_nobody(), if !is_prompt => Err(Failure::Told(STOPPED)),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => output::failure(&failure, config.json),
    }
}

async fn dispatch(command: Command, config: &Config) -> Result<(), Failure> {
    match command {
        Command::Init { force } => model::init(config, force),
        Command::Check { what: None } => model::check(config),
        Command::Check { what: Some(Check::Read { name, tenant }) } => {
            project::check(config, &name, tenant).await
        }
        Command::Schema => model::schema(),
        Command::Plan => apply::plan(config).await,
        Command::Apply(what) => apply::apply(config, &what).await,
        Command::Rebuild(what) => rebuild::rebuild(config, &what).await,
        Command::Tenant(what) => tenant::tenant(config, what).await,
        Command::Key(what) => tenant::key(config, what).await,
        Command::Erase(what) => privacy::erase(config, &what).await,
        Command::Expire(what) => expire::expire(config, &what).await,
        Command::Hold(what) => privacy::hold(config, what).await,
        Command::Keys(what) => keys::keys(config, what).await,
        Command::Privacy(what) => privacy::privacy(config, what).await,
        Command::Query(what) => rows::query(config, &what).await,
        Command::Insert { entity, rows, tenant, upsert, on_conflict } => {
            rows::insert(config, entity, &rows, &tenant, upsert, on_conflict).await
        }
        Command::Update { query, values, tenant } => {
            rows::update(config, &query, &values, &tenant).await
        }
        Command::Delete { query, tenant } => rows::delete(config, &query, &tenant).await,
        Command::Import(import) => bulk::import(config, &import).await,
        Command::Export(export) => bulk::export(config, &export).await,
        Command::Sql(what) => sql::sql(config, what).await,
        Command::Blobs(what) => blobs::blobs(config, what).await,
        Command::Token(what) => token::token(config, &what).await,
        Command::Login { passfile } => token::login(config, passfile.as_deref()).await,
        Command::Prove(wanted) => prove::prove(config, &wanted).await,
        Command::Serve(serve) => serve::serve(config, &serve).await,
        Command::Work { once: false, placement, slices } => {
            serve::work(config, placement, slices).await
        }
        Command::Work { once: true, placement, slices } => {
            project::once(config).await?;
            if slices {
                expire::tend(config).await?;
            }
            if placement { placement::once(config).await } else { Ok(()) }
        }
        Command::Status { limit, metrics } => project::status(config, limit, &metrics).await,
        Command::Replay { name, job: None } => project::replay(config, name.as_deref()).await,
        Command::Replay { job: Some(kind), .. } => jobs::replay(config, &kind).await,
        Command::Audit(audit) => audit::audit(config, &audit).await,
        Command::Dev { serve, tenant } => serve::dev(config, &serve, &tenant).await,
        Command::Demo(_) | Command::Bench(_) => {
            unreachable!("they have state folders of their own")
        }
    }
}

/// A database that answers, and the door to it that stands open for operators.
pub(crate) struct Site {
    /// Kept so that a local server lives as long as it is used.
    pub(crate) database: Database,
    key: KeyAt,
    keystore: std::path::PathBuf,
}

impl Site {
    /// Finds the database, starting the local one if none is named.
    pub(crate) async fn open(config: &Config) -> Result<Self, Failure> {
        stop::hold();
        let database = services::database(config).await?;
        // On a server of its own nothing is lost by making a key; elsewhere one that is missing may be a wrong path.
        if let (Database::Local { .. }, Some(file)) = (&database, config.key.file()) {
            if let Some(folder) = file.parent() {
                std::fs::create_dir_all(folder)
                    .map_err(|error| output::at("made", folder, &error))?;
            }
            RootKey::read_or_create(file)?;
        }
        let (key, keystore) = (config.key.clone(), config.keystore.clone());
        Ok(Self { database, key, keystore })
    }

    /// The root key. It is read anew each time: no copy of it is kept longer than needed.
    pub(crate) async fn root_key(&self) -> Result<RootKey, Failure> {
        Ok(self.key.read().await?)
    }

    /// The operator's door, with the reason that is recorded.
    pub(crate) async fn operator(&self, reason: &'static str) -> Result<Operator, Failure> {
        Ok(Operator::open(self.database.url(), reason).await?)
    }

    /// The operator's door on a database that is made ready for Freehold if it is not.
    pub(crate) async fn prepared(&self, reason: &'static str) -> Result<Operator, Failure> {
        let mut operator = self.operator(reason).await?;
        if !operator.is_current().await? {
            operator.set_up(&self.root_key().await?).await?;
        }
        Ok(operator)
    }

    /// Where the bytes of blobs are. Beside somebody's server it has to be said: a folder of this machine is not where other
    /// machines look.
    fn blobs(&self, config: &Config) -> Result<Option<freehold_engine::blob::Blobs>, Failure> {
        use freehold_engine::blob::Blobs;
        Ok(match (&config.blobs, &self.database) {
            (Some(url), _) => Some(Blobs::open(url, config.blobs_patience)?),
            (None, Database::Local { .. }) => Some(
                Blobs::folder(config.state.join("blobs"))?.with_patience(config.blobs_patience),
            ),
            (None, Database::Named(_)) => None,
        })
    }

    pub(crate) async fn store(&self) -> Result<Store, Failure> {
        let store = Store::connect(self.store_config().await?).await?;
        // As with the root key: on a server of its own nothing is lost by making one; elsewhere it has to be said.
        if matches!(self.database, Database::Local { .. })
            && store.keystore_state().await?.epoch == 0
        {
            store.init_keystore().await?;
        }
        Ok(store)
    }

    async fn store_config(&self) -> Result<StoreConfig, Failure> {
        let keystore = Some(self.keystore.clone());
        let config = StoreConfig::new(self.database.url(), self.root_key().await?);
        Ok(StoreConfig { keystore, ..config })
    }

    /// The engine, as the role that owns nothing.
    pub(crate) async fn engine(&self, config: &Config) -> Result<Engine, Failure> {
        self.engine_over(self.store().await?, config).await
    }

    /// The same, also over a database that is restored from before some erasures.
    pub(crate) async fn engine_behind(&self, config: &Config) -> Result<Engine, Failure> {
        let store = StoreConfig { behind: true, ..self.store_config().await? };
        self.engine_over(Store::connect(store).await?, config).await
    }

    /// The same, which then knows all of them.
    pub(crate) async fn engine_replayed(&self, config: &Config) -> Result<Engine, Failure> {
        let engine = self.engine_behind(config).await?;
        let replayed = Box::pin(engine.replay_ledger()).await?;
        if replayed != Replayed::default() {
            let Replayed { erasures, receipts, tenants } = replayed;
            output::note(format!(
                "the database was restored from before {erasures} erasures and {receipts} receipts; they are made again"
            ));
            if tenants > 0 {
                output::note(format!(
                    "{tenants} of its tenants were deleted since: they are closed; `freehold keys replay` deletes their rows"
                ));
            }
        }
        Ok(engine)
    }

    async fn engine_over(&self, store: Store, config: &Config) -> Result<Engine, Failure> {
        let engine = Engine::open(store, config.base_dir()).await?;
        Ok(match self.blobs(config)? {
            Some(blobs) => engine.with_blobs(blobs),
            None => engine,
        })
    }
}
