BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('v3.2.0.a');
CREATE TABLE studies (
	study_id INTEGER NOT NULL, 
	study_name VARCHAR(512) NOT NULL, 
	PRIMARY KEY (study_id)
);
INSERT INTO "studies" VALUES(1,'two');
INSERT INTO "studies" VALUES(2,'one');
CREATE TABLE study_directions (
	study_direction_id INTEGER NOT NULL, 
	direction VARCHAR(8) NOT NULL, 
	study_id INTEGER NOT NULL, 
	objective INTEGER NOT NULL, 
	PRIMARY KEY (study_direction_id), 
	UNIQUE (study_id, objective), 
	FOREIGN KEY(study_id) REFERENCES studies (study_id)
);
INSERT INTO "study_directions" VALUES(1,'MINIMIZE',1,0);
INSERT INTO "study_directions" VALUES(2,'MAXIMIZE',1,1);
INSERT INTO "study_directions" VALUES(3,'MINIMIZE',2,0);
CREATE TABLE study_system_attributes (
	study_system_attribute_id INTEGER NOT NULL, 
	study_id INTEGER, 
	"key" VARCHAR(512), 
	value_json TEXT, 
	PRIMARY KEY (study_system_attribute_id), 
	UNIQUE (study_id, "key"), 
	FOREIGN KEY(study_id) REFERENCES studies (study_id)
);
CREATE TABLE study_user_attributes (
	study_user_attribute_id INTEGER NOT NULL, 
	study_id INTEGER, 
	"key" VARCHAR(512), 
	value_json TEXT, 
	PRIMARY KEY (study_user_attribute_id), 
	UNIQUE (study_id, "key"), 
	FOREIGN KEY(study_id) REFERENCES studies (study_id)
);
CREATE TABLE trial_heartbeats (
	trial_heartbeat_id INTEGER NOT NULL, 
	trial_id INTEGER NOT NULL, 
	heartbeat DATETIME NOT NULL, 
	PRIMARY KEY (trial_heartbeat_id), 
	UNIQUE (trial_id), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
CREATE TABLE trial_intermediate_values (
	trial_intermediate_value_id INTEGER NOT NULL, 
	trial_id INTEGER NOT NULL, 
	step INTEGER NOT NULL, 
	intermediate_value FLOAT, 
	intermediate_value_type VARCHAR(7) NOT NULL, 
	PRIMARY KEY (trial_intermediate_value_id), 
	UNIQUE (trial_id, step), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
INSERT INTO "trial_intermediate_values" VALUES(1,1,0,0.0,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(2,1,1,NULL,'NAN');
INSERT INTO "trial_intermediate_values" VALUES(3,1,2,0.0002,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(4,2,0,0.0,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(5,2,1,NULL,'NAN');
INSERT INTO "trial_intermediate_values" VALUES(6,2,2,3.56529943027739245568e-04,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(7,3,0,0.0,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(8,3,1,NULL,'NAN');
INSERT INTO "trial_intermediate_values" VALUES(9,3,2,7.24120145148947358133e-05,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(10,4,0,0.0,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(11,4,1,NULL,'NAN');
INSERT INTO "trial_intermediate_values" VALUES(12,4,2,8.21082403371777789537e-05,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(13,5,0,0.0,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(14,5,1,NULL,'NAN');
INSERT INTO "trial_intermediate_values" VALUES(15,5,2,5.27461555818492289259e-05,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(16,6,0,0.0,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(17,6,1,NULL,'NAN');
INSERT INTO "trial_intermediate_values" VALUES(18,6,2,8.51525097202276114172e-03,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(19,7,0,0.0,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(20,7,1,NULL,'NAN');
INSERT INTO "trial_intermediate_values" VALUES(21,7,2,3.94521337836818944046e-05,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(22,8,0,0.0,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(23,8,1,NULL,'NAN');
INSERT INTO "trial_intermediate_values" VALUES(24,8,2,2.2936797411503158893e-03,'FINITE');
CREATE TABLE trial_params (
	param_id INTEGER NOT NULL, 
	trial_id INTEGER, 
	param_name VARCHAR(512), 
	param_value FLOAT, 
	distribution_json TEXT, 
	PRIMARY KEY (param_id), 
	UNIQUE (trial_id, param_name), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
INSERT INTO "trial_params" VALUES(1,1,'learning_rate',0.0001,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 1e-05, "high": 0.01, "log": true}}');
INSERT INTO "trial_params" VALUES(2,1,'batch_size',16.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 8, "low": 8, "high": 32}}');
INSERT INTO "trial_params" VALUES(3,1,'weight_decay',0.25,'{"name": "FloatDistribution", "attributes": {"step": 0.25, "low": 0.0, "high": 0.5, "log": false}}');
INSERT INTO "trial_params" VALUES(4,1,'schedule',2.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["constant", "linear", null]}}');
INSERT INTO "trial_params" VALUES(5,2,'learning_rate',1.78264971513869622784e-04,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 1e-05, "high": 0.01, "log": true}}');
INSERT INTO "trial_params" VALUES(6,2,'batch_size',24.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 8, "low": 8, "high": 32}}');
INSERT INTO "trial_params" VALUES(7,2,'weight_decay',0.0,'{"name": "FloatDistribution", "attributes": {"step": 0.25, "low": 0.0, "high": 0.5, "log": false}}');
INSERT INTO "trial_params" VALUES(8,2,'schedule',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["constant", "linear", null]}}');
INSERT INTO "trial_params" VALUES(9,3,'learning_rate',3.62060072574473679066e-05,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 1e-05, "high": 0.01, "log": true}}');
INSERT INTO "trial_params" VALUES(10,3,'batch_size',16.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 8, "low": 8, "high": 32}}');
INSERT INTO "trial_params" VALUES(11,3,'weight_decay',0.25,'{"name": "FloatDistribution", "attributes": {"step": 0.25, "low": 0.0, "high": 0.5, "log": false}}');
INSERT INTO "trial_params" VALUES(12,3,'schedule',2.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["constant", "linear", null]}}');
INSERT INTO "trial_params" VALUES(13,4,'learning_rate',4.10541201685888894768e-05,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 1e-05, "high": 0.01, "log": true}}');
INSERT INTO "trial_params" VALUES(14,4,'batch_size',32.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 8, "low": 8, "high": 32}}');
INSERT INTO "trial_params" VALUES(15,4,'weight_decay',0.0,'{"name": "FloatDistribution", "attributes": {"step": 0.25, "low": 0.0, "high": 0.5, "log": false}}');
INSERT INTO "trial_params" VALUES(16,4,'schedule',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["constant", "linear", null]}}');
INSERT INTO "trial_params" VALUES(17,5,'learning_rate',2.63730777909246144629e-05,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 1e-05, "high": 0.01, "log": true}}');
INSERT INTO "trial_params" VALUES(18,5,'batch_size',8.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 8, "low": 8, "high": 32}}');
INSERT INTO "trial_params" VALUES(19,5,'weight_decay',0.5,'{"name": "FloatDistribution", "attributes": {"step": 0.25, "low": 0.0, "high": 0.5, "log": false}}');
INSERT INTO "trial_params" VALUES(20,5,'schedule',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["constant", "linear", null]}}');
INSERT INTO "trial_params" VALUES(21,6,'learning_rate',4.25762548601138057086e-03,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 1e-05, "high": 0.01, "log": true}}');
INSERT INTO "trial_params" VALUES(22,6,'batch_size',32.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 8, "low": 8, "high": 32}}');
INSERT INTO "trial_params" VALUES(23,6,'weight_decay',0.0,'{"name": "FloatDistribution", "attributes": {"step": 0.25, "low": 0.0, "high": 0.5, "log": false}}');
INSERT INTO "trial_params" VALUES(24,6,'schedule',2.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["constant", "linear", null]}}');
INSERT INTO "trial_params" VALUES(25,7,'learning_rate',1.97260668918409472023e-05,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 1e-05, "high": 0.01, "log": true}}');
INSERT INTO "trial_params" VALUES(26,7,'batch_size',16.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 8, "low": 8, "high": 32}}');
INSERT INTO "trial_params" VALUES(27,7,'weight_decay',0.5,'{"name": "FloatDistribution", "attributes": {"step": 0.25, "low": 0.0, "high": 0.5, "log": false}}');
INSERT INTO "trial_params" VALUES(28,7,'schedule',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["constant", "linear", null]}}');
INSERT INTO "trial_params" VALUES(29,8,'learning_rate',1.14683987057515794465e-03,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 1e-05, "high": 0.01, "log": true}}');
INSERT INTO "trial_params" VALUES(30,8,'batch_size',32.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 8, "low": 8, "high": 32}}');
INSERT INTO "trial_params" VALUES(31,8,'weight_decay',0.0,'{"name": "FloatDistribution", "attributes": {"step": 0.25, "low": 0.0, "high": 0.5, "log": false}}');
INSERT INTO "trial_params" VALUES(32,8,'schedule',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["constant", "linear", null]}}');
CREATE TABLE trial_system_attributes (
	trial_system_attribute_id INTEGER NOT NULL, 
	trial_id INTEGER, 
	"key" VARCHAR(512), 
	value_json TEXT, 
	PRIMARY KEY (trial_system_attribute_id), 
	UNIQUE (trial_id, "key"), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
INSERT INTO "trial_system_attributes" VALUES(1,1,'fixed_params','{"learning_rate": 0.0001, "batch_size": 16, "weight_decay": 0.25, "schedule": null}');
CREATE TABLE trial_user_attributes (
	trial_user_attribute_id INTEGER NOT NULL, 
	trial_id INTEGER, 
	"key" VARCHAR(512), 
	value_json TEXT, 
	PRIMARY KEY (trial_user_attribute_id), 
	UNIQUE (trial_id, "key"), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
CREATE TABLE trial_values (
	trial_value_id INTEGER NOT NULL, 
	trial_id INTEGER NOT NULL, 
	objective INTEGER NOT NULL, 
	value FLOAT, 
	value_type VARCHAR(7) NOT NULL, 
	PRIMARY KEY (trial_value_id), 
	UNIQUE (trial_id, objective), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
INSERT INTO "trial_values" VALUES(1,1,0,0.2516,'FINITE');
INSERT INTO "trial_values" VALUES(2,2,0,4.27835931633287116365e-03,'FINITE');
INSERT INTO "trial_values" VALUES(3,3,0,7.24120145148947358133e-05,'FINITE');
INSERT INTO "trial_values" VALUES(4,4,0,1.31373184539484446319e-03,'FINITE');
INSERT INTO "trial_values" VALUES(5,6,0,NULL,'INF_POS');
INSERT INTO "trial_values" VALUES(6,7,0,1.50031561707026961371e+00,'FINITE');
INSERT INTO "trial_values" VALUES(7,8,0,1.03669887585840503341e+00,'FINITE');
CREATE TABLE trials (
	trial_id INTEGER NOT NULL, 
	number INTEGER, 
	study_id INTEGER, 
	state VARCHAR(8) NOT NULL, 
	datetime_start DATETIME, 
	datetime_complete DATETIME, 
	PRIMARY KEY (trial_id), 
	FOREIGN KEY(study_id) REFERENCES studies (study_id)
);
INSERT INTO "trials" VALUES(1,0,2,'COMPLETE','2026-11-25 14:24:44.488979','2026-11-25 14:24:44.789796');
INSERT INTO "trials" VALUES(2,1,2,'COMPLETE','2026-11-25 14:24:44.812809','2026-11-25 14:24:45.085710');
INSERT INTO "trials" VALUES(3,2,2,'PRUNED','2026-11-25 14:24:45.149596','2026-11-25 14:24:45.404383');
INSERT INTO "trials" VALUES(4,3,2,'COMPLETE','2026-11-25 14:24:45.455980','2026-11-25 14:24:45.702520');
INSERT INTO "trials" VALUES(5,4,2,'FAIL','2026-11-25 14:24:45.760231','2026-11-25 14:24:46.009986');
INSERT INTO "trials" VALUES(6,5,2,'COMPLETE','2026-11-25 14:24:46.040419','2026-11-25 14:24:46.332696');
INSERT INTO "trials" VALUES(7,6,2,'COMPLETE','2026-11-25 14:24:46.376119','2026-11-25 14:24:46.601687');
INSERT INTO "trials" VALUES(8,7,2,'COMPLETE','2026-11-25 14:24:46.641977','2026-11-25 14:24:46.860064');
INSERT INTO "trials" VALUES(9,8,2,'RUNNING','2026-11-25 14:24:46.898918',NULL);
CREATE TABLE version_info (
	version_info_id INTEGER NOT NULL, 
	schema_version INTEGER, 
	library_version VARCHAR(256), 
	PRIMARY KEY (version_info_id), 
	CHECK (version_info_id=1)
);
INSERT INTO "version_info" VALUES(1,12,'4.5.0');
CREATE UNIQUE INDEX ix_studies_study_name ON studies (study_name);
CREATE INDEX ix_trials_study_id ON trials (study_id);
COMMIT;
