"""The neighbours' second personality: the platform's real services, quirks included."""
