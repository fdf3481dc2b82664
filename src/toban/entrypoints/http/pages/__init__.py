"""The pages: server-rendered, readable without scripts, refreshed in place when the event stream says so."""
