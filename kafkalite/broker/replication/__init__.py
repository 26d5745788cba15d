"""What keeps replicas alike: fetching from leaders, followers' sessions, ISR, high watermark."""
