"""What an application can switch on; each file stands alone and knows `app/` and below."""
