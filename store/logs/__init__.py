"""A warehouse of several logs, each of which holds the streams of some shards."""
