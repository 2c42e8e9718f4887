BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0002');
CREATE TABLE authorities (
	id INTEGER NOT NULL, 
	name VARCHAR NOT NULL, 
	role VARCHAR NOT NULL, 
	state VARCHAR NOT NULL, 
	key_id VARCHAR NOT NULL, 
	spki_sha256 VARCHAR(64) NOT NULL, 
	created_at BIGINT NOT NULL, 
	changed_at BIGINT NOT NULL, 
	certificates TEXT NOT NULL, 
	above TEXT NOT NULL, 
	parent VARCHAR, 
	PRIMARY KEY (id), 
	UNIQUE (name)
);
INSERT INTO "authorities" VALUES(1,'root','issuing','active','dc76e9f0c0006e8f919e0c515c66dbba3982f785','4813494d137e1631bba301d5acab6e7bb7aa74ce1185d456565ef51d737677b2',1772366400123456,1772366400123456,'["MAAgc2VudA==", "MAEgY3Jvc3M="]','["MAIgYWJvdmU="]','root');
INSERT INTO "authorities" VALUES(2,'issuing','issuing','active','f15238512dbe5032dc7a8d36dfcd24cf39488201','974289a216b18b6a555d2bdca531e791fa4b7412212dd0d1c1db664751ffc1c1',1772366400123456,1772366400123456,'["MAAgc2VudA==", "MAEgY3Jvc3M="]','["MAIgYWJvdmU="]','root');
CREATE TABLE certificate_blocks (block INTEGER PRIMARY KEY, first_expiry BIGINT NOT NULL, last_expiry BIGINT NOT NULL);
CREATE TABLE certificates (
	id INTEGER NOT NULL, 
	issuer_key_id VARCHAR NOT NULL, 
	serial VARCHAR(40) NOT NULL, 
	profile VARCHAR NOT NULL, 
	identity VARCHAR, 
	dns TEXT NOT NULL, 
	ips TEXT NOT NULL, 
	subject TEXT NOT NULL, 
	not_before BIGINT NOT NULL, 
	not_after BIGINT NOT NULL, 
	spki_sha256 VARCHAR(64) NOT NULL, 
	state VARCHAR NOT NULL, 
	issued_at BIGINT NOT NULL, 
	fingerprint VARCHAR(64), 
	tbs BLOB NOT NULL, 
	der BLOB NOT NULL, 
	revoked_at BIGINT, 
	reason VARCHAR, 
	shard INTEGER NOT NULL, 
	request_id VARCHAR, 
	is_authority BOOLEAN NOT NULL, 
	names TEXT NOT NULL, 
	PRIMARY KEY (id), 
	CONSTRAINT certificates_state CHECK (state IN ('intended', 'issued', 'held', 'revoked'))
);
INSERT INTO "certificates" VALUES(1,'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa','0000000000000000000000000000000000000001','client','spiffe://example.org/alice/1','["a.example.org", "b.example.org"]','["192.0.2.1", "2001:db8::1"]','CN=alice',1772366340123456,1780142400123456,'0000000000000000000000000000000000000000000000000000000000000001','issued',1772366400123456,'0000000000000000000000000000000000000000000000000000000000000001',X'',X'63657274696669636174652031',NULL,NULL,0,NULL,0,'

spiffe://example.org/alice/1

alice/1

a.example.org

b.example.org

192.0.2.1

2001:db8::1

cn=alice');
INSERT INTO "certificates" VALUES(2,'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa','0000000000000000000000000000000000000002','client','spiffe://example.org/alice/2','["a.example.org", "b.example.org"]','["192.0.2.1", "2001:db8::1"]','CN=alice',1772366340123456,1780142400123456,'0000000000000000000000000000000000000000000000000000000000000002','revoked',1772366400123456,'0000000000000000000000000000000000000000000000000000000000000002',X'',X'63657274696669636174652032',1772366400123456,'keyCompromise',0,NULL,0,'

spiffe://example.org/alice/2

alice/2

a.example.org

b.example.org

192.0.2.1

2001:db8::1

cn=alice');
INSERT INTO "certificates" VALUES(3,'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa','0000000000000000000000000000000000000003','client','spiffe://example.org/alice/3','["a.example.org", "b.example.org"]','["192.0.2.1", "2001:db8::1"]','CN=alice',1772366340123456,1780142400123456,'0000000000000000000000000000000000000000000000000000000000000003','held',1772366400123456,'0000000000000000000000000000000000000000000000000000000000000003',X'',X'63657274696669636174652033',1772366400123456,'certificateHold',0,NULL,0,'

spiffe://example.org/alice/3

alice/3

a.example.org

b.example.org

192.0.2.1

2001:db8::1

cn=alice');
INSERT INTO "certificates" VALUES(4,'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa','0000000000000000000000000000000000000004','client','spiffe://example.org/alice/4','["a.example.org", "b.example.org"]','["192.0.2.1", "2001:db8::1"]','CN=alice',1772366340123456,1780142400123456,'0000000000000000000000000000000000000000000000000000000000000004','issued',1772366400123456,'0000000000000000000000000000000000000000000000000000000000000004',X'',X'63657274696669636174652034',NULL,NULL,0,NULL,0,'

spiffe://example.org/alice/4

alice/4

a.example.org

b.example.org

192.0.2.1

2001:db8::1

cn=alice');
INSERT INTO "certificates" VALUES(5,'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa','0000000000000000000000000000000000000005','client','spiffe://example.org/alice/5','["a.example.org", "b.example.org"]','["192.0.2.1", "2001:db8::1"]','CN=alice',1772366340123456,1780142400123456,'0000000000000000000000000000000000000000000000000000000000000005','issued',1772366400123456,'0000000000000000000000000000000000000000000000000000000000000005',X'',X'63657274696669636174652035',NULL,NULL,0,NULL,0,'

spiffe://example.org/alice/5

alice/5

a.example.org

b.example.org

192.0.2.1

2001:db8::1

cn=alice');
INSERT INTO "certificates" VALUES(6,'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa','0000000000000000000000000000000000000014','client','spiffe://example.org/alice','["a.example.org", "b.example.org"]','["192.0.2.1", "2001:db8::1"]','CN=alice',1772366340123456,1780142400123456,'0000000000000000000000000000000000000000000000000000000000000014','intended',1772366400123456,NULL,X'746F206265207369676E6564',X'',NULL,NULL,0,NULL,0,'

spiffe://example.org/alice

alice

a.example.org

b.example.org

192.0.2.1

2001:db8::1

cn=alice');
INSERT INTO "certificates" VALUES(7,'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa','7fffffffffffffffffffffffffffffffffffffff','client',NULL,'["a.example.org", "b.example.org"]','["192.0.2.1", "2001:db8::1"]','CN=alice',1772366340123456,1780142400123456,'0000000000000000000000007fffffffffffffffffffffffffffffffffffffff','issued',1772366400123456,'0000000000000000000000007fffffffffffffffffffffffffffffffffffffff',X'',X'63657274696669636174652037666666666666666666666666666666666666666666666666666666666666666666666666666666',NULL,NULL,0,'order/1',0,'

a.example.org

b.example.org

192.0.2.1

2001:db8::1

cn=alice');
CREATE TABLE checkpoints (
	number INTEGER NOT NULL, 
	at BIGINT NOT NULL, 
	heads TEXT NOT NULL, 
	prev VARCHAR(64) NOT NULL, 
	key_id VARCHAR NOT NULL, 
	signature BLOB NOT NULL, 
	PRIMARY KEY (number)
);
INSERT INTO "checkpoints" VALUES(1,1772366400123456,'{"local": [17, "98c4aa0ce9a11aa461048214b80eb81745d932f06b46ea05ee254d22d9d69f3d"]}','abababababababababababababababababababababababababababababababab','cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd',X'7369676E6564');
CREATE TABLE confirmations (
	point VARCHAR NOT NULL, 
	authorities TEXT NOT NULL, 
	at BIGINT NOT NULL, 
	PRIMARY KEY (point)
);
INSERT INTO "confirmations" VALUES('gateway/main','["root"]',1772366400123456);
CREATE TABLE crl_numbers (
	issuer_key_id VARCHAR NOT NULL, 
	number INTEGER NOT NULL, 
	PRIMARY KEY (issuer_key_id)
);
INSERT INTO "crl_numbers" VALUES('aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa',1772366400);
CREATE TABLE crls (
	issuer_key_id VARCHAR NOT NULL, 
	shard INTEGER NOT NULL, 
	number BIGINT NOT NULL, 
	mark BIGINT NOT NULL, 
	this_update BIGINT NOT NULL, 
	next_update BIGINT NOT NULL, 
	der BLOB NOT NULL, 
	PRIMARY KEY (issuer_key_id, shard)
);
INSERT INTO "crls" VALUES('aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa',0,1772366400,1,1772366400123456,1772452800123456,X'6C697374');
CREATE TABLE events (
	writer VARCHAR NOT NULL, 
	seq INTEGER NOT NULL, 
	prev VARCHAR(64) NOT NULL, 
	hash VARCHAR(64) NOT NULL, 
	at BIGINT NOT NULL, 
	kind VARCHAR NOT NULL, 
	subject VARCHAR NOT NULL, 
	data TEXT NOT NULL, 
	PRIMARY KEY (writer, seq)
);
INSERT INTO "events" VALUES('local',1,'0000000000000000000000000000000000000000000000000000000000000000','a292eca3a332dbc02b340ee5648390efdb742696f1b694813ed6218c345085bb',1772366400123456,'meant','spiffe://example.org/alice','{}');
INSERT INTO "events" VALUES('local',2,'a292eca3a332dbc02b340ee5648390efdb742696f1b694813ed6218c345085bb','8c5cd697752a5dc6623d27ee4f13ca5cee3ffe1105adeb8b524841affa32550e',1772366400123456,'issued','spiffe://example.org/alice','{}');
INSERT INTO "events" VALUES('local',3,'8c5cd697752a5dc6623d27ee4f13ca5cee3ffe1105adeb8b524841affa32550e','674732aa6a410b867f83921edbc9693531de2391d9d19a2fb8783d34e66ee38f',1772366400123456,'meant','spiffe://example.org/alice','{}');
INSERT INTO "events" VALUES('local',4,'674732aa6a410b867f83921edbc9693531de2391d9d19a2fb8783d34e66ee38f','5bd984130689918c7af85ccf1dbe03da2e1dc748289b04354e0d99dfa805002e',1772366400123456,'issued','spiffe://example.org/alice','{}');
INSERT INTO "events" VALUES('local',5,'5bd984130689918c7af85ccf1dbe03da2e1dc748289b04354e0d99dfa805002e','da7df567e32b4e7929607398c40ff4c881f74ac84bca0dba6ad3733143b6bf8e',1772366400123456,'meant','spiffe://example.org/alice','{}');
INSERT INTO "events" VALUES('local',6,'da7df567e32b4e7929607398c40ff4c881f74ac84bca0dba6ad3733143b6bf8e','c8638cd89c673eda39a0443358f694f3d5a7733720a2686ed504c548f9733e18',1772366400123456,'issued','spiffe://example.org/alice','{}');
INSERT INTO "events" VALUES('local',7,'c8638cd89c673eda39a0443358f694f3d5a7733720a2686ed504c548f9733e18','3725296017e058cd2e2e3736cb826bc511c790ca4cd7dfc4a305f53c425d14ad',1772366400123456,'meant','spiffe://example.org/alice','{}');
INSERT INTO "events" VALUES('local',8,'3725296017e058cd2e2e3736cb826bc511c790ca4cd7dfc4a305f53c425d14ad','fbcc7ec2af16c993b42b0fc43909fe78c8932d1213bbcc1acda12a95c386fb07',1772366400123456,'issued','spiffe://example.org/alice','{}');
INSERT INTO "events" VALUES('local',9,'fbcc7ec2af16c993b42b0fc43909fe78c8932d1213bbcc1acda12a95c386fb07','4a38a9ad49f4785b2520c71a3bd8b22c9bc5e6d5971f598f4269e6f3c12ee0a1',1772366400123456,'meant','spiffe://example.org/alice','{}');
INSERT INTO "events" VALUES('local',10,'4a38a9ad49f4785b2520c71a3bd8b22c9bc5e6d5971f598f4269e6f3c12ee0a1','c10a3a759fda14318eea8a0424a3e678cad7058eeb1d5d2db3593cb7dd7719d1',1772366400123456,'issued','spiffe://example.org/alice','{}');
INSERT INTO "events" VALUES('local',11,'c10a3a759fda14318eea8a0424a3e678cad7058eeb1d5d2db3593cb7dd7719d1','1fefebd4998ac112f3c676e03cc25d0405c91e0daedd05469846b9f77624f4d7',1772366400123456,'meant','spiffe://example.org/alice','{}');
INSERT INTO "events" VALUES('local',12,'1fefebd4998ac112f3c676e03cc25d0405c91e0daedd05469846b9f77624f4d7','f66b6a05f84c8a0969ef4fb997da7656a5e62746a2d6332faee178db142f8363',1772366400123456,'meant','spiffe://example.org/alice','{}');
INSERT INTO "events" VALUES('local',13,'f66b6a05f84c8a0969ef4fb997da7656a5e62746a2d6332faee178db142f8363','5a00b63d3ac7924d0093ccdabfe228e0a32d1d341f2a632bcd7bfcbf5c3f75a1',1772366400123456,'issued','spiffe://example.org/alice','{}');
INSERT INTO "events" VALUES('local',14,'5a00b63d3ac7924d0093ccdabfe228e0a32d1d341f2a632bcd7bfcbf5c3f75a1','9dfe0b1cddcde9a19e007d3c9d695d505dde95eddbcb29fd7038a899c934a185',1772366400123456,'revoked','spiffe://example.org/alice','{"serial": "2", "state": "revoked"}');
INSERT INTO "events" VALUES('local',15,'9dfe0b1cddcde9a19e007d3c9d695d505dde95eddbcb29fd7038a899c934a185','8ec6b76617fe648effe034f22431bb64644e67822dfeae67a84c24b063c3e158',1772366400123456,'revoked','spiffe://example.org/alice','{"serial": "3", "state": "held"}');
INSERT INTO "events" VALUES('local',16,'8ec6b76617fe648effe034f22431bb64644e67822dfeae67a84c24b063c3e158','286056e14f3fec87d15df25772cc4bbe86aeabd4a1389d2d7b92a380be379fdc',1772366400123456,'made','spiffe://example.org/alice','{}');
INSERT INTO "events" VALUES('local',17,'286056e14f3fec87d15df25772cc4bbe86aeabd4a1389d2d7b92a380be379fdc','98c4aa0ce9a11aa461048214b80eb81745d932f06b46ea05ee254d22d9d69f3d',1772366400123456,'asked','spiffe://example.org/alice','{}');
CREATE TABLE requests (
	number INTEGER NOT NULL, 
	id VARCHAR NOT NULL, 
	profile VARCHAR NOT NULL, 
	csr BLOB NOT NULL, 
	identity VARCHAR, 
	dns TEXT NOT NULL, 
	ips TEXT NOT NULL, 
	lifetime_seconds BIGINT, 
	principal VARCHAR NOT NULL, 
	at BIGINT NOT NULL, 
	state VARCHAR NOT NULL, 
	decided_by VARCHAR, 
	PRIMARY KEY (number), 
	UNIQUE (id)
);
INSERT INTO "requests" VALUES(1,'order/2','server',X'637372',NULL,'[]','["::1"]',NULL,'operator',1772366400123456,'pending',NULL);
CREATE TABLE revocation_marks (
	issuer_key_id VARCHAR NOT NULL, 
	shard INTEGER NOT NULL, 
	mark BIGINT NOT NULL, 
	PRIMARY KEY (issuer_key_id, shard)
);
INSERT INTO "revocation_marks" VALUES('aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa',0,2);
CREATE INDEX events_kind ON events (kind);
CREATE INDEX events_subject ON events (subject);
CREATE INDEX certificates_identity ON certificates (identity, id);
CREATE UNIQUE INDEX certificates_by_serial ON certificates (serial, issuer_key_id);
CREATE INDEX certificates_spki ON certificates (spki_sha256, id);
CREATE INDEX certificates_profile ON certificates (profile, id);
CREATE INDEX certificates_issuer ON certificates (issuer_key_id, id);
CREATE INDEX certificates_expiry ON certificates (not_after, state, id);
CREATE UNIQUE INDEX certificates_fingerprint ON certificates (fingerprint) WHERE fingerprint IS NOT NULL;
CREATE UNIQUE INDEX certificates_request ON certificates (request_id) WHERE request_id IS NOT NULL;
CREATE INDEX certificates_not_issued ON certificates (state, id, profile, issuer_key_id, not_after) WHERE state <> 'issued';
CREATE INDEX certificates_revoked ON certificates (issuer_key_id, shard, revoked_at, not_after, serial, fingerprint, reason) WHERE revoked_at IS NOT NULL;
CREATE INDEX authorities_spki ON authorities (spki_sha256);
CREATE INDEX requests_state ON requests (state, at);
CREATE VIRTUAL TABLE certificate_names USING fts5(names, content='', tokenize='trigram');
INSERT INTO certificate_names (rowid, names) SELECT id, names FROM certificates;
COMMIT;
