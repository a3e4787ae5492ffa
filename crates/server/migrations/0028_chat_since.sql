-- From where on a channel is read that tells us nothing by itself (Matrix): what its server called the
-- moment up to which everything is in chat_event. Null where the vendor calls us.
alter table chat_channel add column since text;
