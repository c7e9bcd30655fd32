"""Reports: from files of records to a page for people, and a sheet for spreadsheets."""
