"""Personal data: encrypted by the keys of those whom it tells of, and searched for once it is gone."""
