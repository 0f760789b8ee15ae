"""What every part is made of: frames of columns, how they are brought up to date, and how they are written."""
