"""What runs by itself: the sensor that sees what lags, schedules, conditions, alerts."""
